"""Losses against numbers worked out by hand, finite differences, and one-dimensional minimisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.dual_rl import objectives
from jaxrl.dual_rl.divergences import Surrogate, divergence
from jaxrl.dual_rl.objectives import (
    awr_weight,
    dual_objective,
    dual_q_objective,
    dual_weight,
    dvl,
    expectile,
    gumbel,
    gumbel_rescaled,
    huber,
    kl_objective,
    mixture,
    recoil_end,
    recoil_floor,
    recoil_objective,
    recoil_target,
    sql,
    without_reversal,
)

Y = np.array([-6, -1, 0, 0.5, 2, 10])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def conjugate_loss(key, mode):
    return lambda y: objectives.conjugate(key, mode).loss(y, 0.7)


GOLDEN = {
    "gumbel_rescaled": (lambda y: gumbel_rescaled(y, 2.0, 7.0), 0.1631950798),
    "gumbel": (lambda y: gumbel(y, 2.0), 24.220297346),
    "chi2 literal": (conjugate_loss("chi2", "literal"), 4.5739583333),
    "chi2 relu": (conjugate_loss("chi2", "relu"), 4.2239583333),
    "chi2 exact": (conjugate_loss("chi2", "exact"), 4.0197916667),
    "tv": (conjugate_loss("tv", "relu"), 1.1833333333),
    "expectile": (lambda y: expectile(y, 0.7), 14.0125),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_batch_means(name):
    loss, value = GOLDEN[name]
    assert float(loss(jnp.asarray(Y)).mean()) == pytest.approx(value, abs=1e-9)
    assert float(jax.jit(loss)(jnp.asarray(Y)).mean()) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", [n for n in GOLDEN if n != "gumbel_rescaled"])
def test_gradients_by_central_differences(name):
    loss, _ = GOLDEN[name]
    y = jnp.asarray(Y) + 0.013  # no kink within the step
    numeric = (loss(y + 1e-6) - loss(y - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.vmap(jax.grad(loss))(y), numeric, rtol=1e-6, atol=1e-6)


def test_gumbel_rescaled_gradient_of_v():
    found = jax.grad(lambda v: gumbel_rescaled(Y - v, 2.0, 7.0).mean())(jnp.zeros(6))
    golden = [0.0005335404, 0.0002209313, 0, -0.000159479, -0.0009648077, -0.0827718378]
    np.testing.assert_allclose(found, golden, atol=1e-10)


def test_gumbel_rescaled_is_gumbel_times_a_constant_without_gradient_at_the_clip():
    y = jnp.array([-1.0, 0.3, 2.0])
    ratio = gumbel_rescaled(y, 1.0, 7.0) / gumbel(y, 1.0)
    np.testing.assert_allclose(ratio, np.exp(-2.0), rtol=1e-12)
    slope = jax.grad(lambda y: gumbel_rescaled(y, 1.0, 7.0).sum())(jnp.array([1.0, 9.0]))
    assert float(slope[1]) == 0 and float(slope[0]) == pytest.approx((np.e - 1) * np.exp(-7))


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return rng.normal(size=6) * 2, rng.dirichlet(np.ones(6))


def argmin(loss, parameter, values):
    """By golden sections, for parameter of the loss."""
    q, p = values
    found = minimize_scalar(
        lambda v: float(p @ loss(jnp.asarray(q - v), parameter)),
        bounds=(q.min() - 30, q.max() + 30),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return found.x


@pytest.mark.parametrize("b", [0.5, 1.0, 4.0])
def test_gumbel_argmin_is_log_mean_exp(values, b):
    q, p = values
    assert argmin(gumbel, b, values) == pytest.approx(b * np.log(p @ np.exp(q / b)), abs=1e-5)


@pytest.mark.parametrize("lambda_", [0.3, 0.5, 0.8])
def test_kl_shift(values, lambda_):
    q, p = values
    wanted = np.log(p @ np.exp(q)) - 1 + np.log(lambda_ / (1 - lambda_))
    found = argmin(objectives.conjugate("kl", "exact").loss, lambda_, values)
    assert found == pytest.approx(wanted, abs=1e-5)


def test_kl_n_at_one_half_is_half_the_gumbel_loss():
    y = jnp.asarray(Y)
    np.testing.assert_allclose(dvl(y, 0.5, divergence("kl_n").f_star), gumbel(y, 1.0) / 2, rtol=1e-12)


def test_sql_at_one_is_exact_chi2_at_one_half():
    y = jnp.asarray(Y)
    np.testing.assert_allclose(sql(y, 1.0), 2 * dvl(y, 0.5, Surrogate("chi2", "exact")) + 1, rtol=1e-12)


@pytest.mark.parametrize("lambda_", [0.4, 0.7])
def test_exact_chi2_is_sql_with_its_square_weighted(values, lambda_):
    def weighted(y, lambda_):
        return lambda_ / (1 - lambda_) * (sql(y, 1.0) + y) - y

    exact = objectives.conjugate("chi2", "exact").loss
    assert argmin(exact, lambda_, values) == pytest.approx(argmin(weighted, lambda_, values), abs=1e-5)


@pytest.mark.parametrize("tau", [0.3, 0.5, 0.9])
def test_expectile_balances_its_two_sides(values, tau):
    q, p = values
    v = argmin(expectile, tau, values)
    assert tau * p @ np.maximum(q - v, 0) == pytest.approx((1 - tau) * p @ np.maximum(v - q, 0), abs=1e-6)
    assert tau != 0.5 or v == pytest.approx(p @ q, abs=1e-6)


def test_awr_weight_is_capped():
    np.testing.assert_allclose(
        awr_weight(jnp.array([-1.0, 0.0, 1.0, 9.0]), 3.0), [np.exp(-3), 1, np.exp(3), 100]
    )


def test_maximisers_of_equal_names_are_one_object():
    """So that programmes compiled for one are reused."""
    assert objectives.conjugate("chi2", "relu") is objectives.conjugate("chi2", "relu")
    assert objectives.conjugate("tv", "relu").edge == np.inf
    assert objectives.conjugate("tv", "exact").edge == 0.5


def test_dual_objectives_by_a_loop():
    rng = np.random.default_rng(1)
    y, d_o = rng.normal(size=(3, 2)), rng.dirichlet(np.ones(6)).reshape(3, 2)
    y[1, 1], d_o[2, 0] = -4.0, 0.0
    by_loop = by_loop_q = 0.3
    for s in range(3):
        for a in range(2):
            by_loop_q += 0.2 * d_o[s, a] * (y[s, a] + y[s, a] ** 2 / 4)
            by_loop += 0.2 * d_o[s, a] * (max(0, 1 + y[s, a] / 2) ** 2 - 1)
    found = dual_objective(0.3, y, d_o, 0.2, divergence("chi2"))
    found_q = dual_q_objective(0.3, y, d_o, 0.2, divergence("chi2"))
    assert float(found) == pytest.approx(by_loop, rel=1e-12)
    assert float(found_q) == pytest.approx(by_loop_q, rel=1e-12)


def test_an_infinite_conjugate_without_mass_does_not_count():
    y, d_o = jnp.array([[0.2, 5.0]]), jnp.array([[1.0, 0.0]])
    assert float(dual_objective(0.0, y, d_o, 1.0, divergence("hel"))) == pytest.approx(0.25)


def test_recoil_objective_mixture_and_floor_by_a_loop():
    rng = np.random.default_rng(2)
    d_e, d_s = rng.dirichlet(np.ones(6), 2).reshape(2, 3, 2)
    d_e[0, 0] = d_s[0, 0] = 0
    y, star = rng.normal(size=(2, 3, 2))
    total, beta = 0.3 * 0.7, 0.3
    for s in range(3):
        for a in range(2):
            m = beta * d_e[s, a] + 0.7 * d_s[s, a]
            assert float(mixture(beta, d_e, d_s)[s, a]) == pytest.approx(m)
            ratio = 0.7 * d_s[s, a] / m if m else 0
            assert float(recoil_floor(beta, d_e, d_s)[s, a]) == pytest.approx(ratio)
            total += m * star[s, a] - 0.7 * d_s[s, a] * y[s, a]
    assert float(recoil_objective(0.7, y, d_e, d_s, beta, star)) == pytest.approx(total, rel=1e-12)


def test_huber_is_square_then_linear_and_may_have_no_end():
    error = jnp.array([-3.0, 0.5, 2.0, 7.0])
    np.testing.assert_allclose(huber(error, 2.0), [2 * (3 - 1), 0.125, 2, 2 * (7 - 1)], rtol=1e-12)
    np.testing.assert_allclose(huber(error, jnp.inf), error**2 / 2, rtol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda e: huber(e, jnp.inf).sum())(error), error, rtol=1e-12)


def test_recoil_target_by_hand():
    """g = 2, gamma = 0.9, so G = 20: -2 + 0.9 * 5, and -2 - 0.9 * 20 where the episode terminated."""
    found = recoil_target(jnp.array([5.0, 5.0]), jnp.array([1.0, 0.0]), -20.0, 2.0, 0.9)
    np.testing.assert_allclose(found, [2.5, -20.0], rtol=1e-12)


def test_recoil_end_is_where_an_absorbing_state_comes_to_rest():
    for d_e, d_mix in ((0.3, 0.1), (0.0, 0.2), (0.2, 0.0)):
        v = 0.0
        for _ in range(600):
            v = (d_e * 20 + d_mix * (0.9 * v - 2)) / (d_e + d_mix)
        assert recoil_end(d_e, d_mix, 2.0, 0.9) == pytest.approx(v, abs=1e-9)
    assert recoil_end(0.0, 0.2, 2.0, 0.9) == pytest.approx(-20)  # what is released
    assert recoil_end(0.2, 0.0, 2.0, 0.9) == pytest.approx(20)


def test_without_reversal_leaves_nothing_along_the_forward_gradient():
    forward = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([[2.0]])}
    backward = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[3.0]])}  # <f, b> = <f, f> = 9
    found = without_reversal(forward, backward)
    np.testing.assert_allclose(found["a"], [2, -2], rtol=1e-12)
    np.testing.assert_allclose(found["b"], [[1]], rtol=1e-12)
    nothing = jax.tree.map(jnp.zeros_like, forward)
    jax.tree.map(np.testing.assert_array_equal, without_reversal(nothing, backward), backward)


def test_kl_objective_is_the_dual_at_the_best_shift():
    rng = np.random.default_rng(3)
    y, d_o, f = jnp.asarray(rng.normal(size=6)), jnp.asarray(rng.dirichlet(np.ones(6))), divergence("kl")
    value, shifted = kl_objective(0.3, y, d_o, 0.5)
    # V + c moves the start term by (1 - gamma) c and y by -(1 - gamma) c / alpha
    best = minimize_scalar(lambda c: float(dual_objective(0.3 + 0.5 * c, y - c, d_o, 0.5, f)), tol=1e-10)
    assert float(value) == pytest.approx(best.fun, abs=1e-9)
    np.testing.assert_allclose(shifted, y - best.x, atol=1e-5)
    assert float((d_o * f.w(shifted)).sum()) == pytest.approx(1, abs=1e-12)


def test_exponential_losses_are_cut_on_batches_and_others_are_not():
    y = jnp.array([-1.0, 2.0, 50.0])
    for key in ("kl", "kl_n"):
        loss = objectives.conjugate(key, "exact")
        np.testing.assert_array_equal(loss.on_batch(y, 0.7, 5.0), loss.loss(jnp.minimum(y, 5.0), 0.7))
    chi2 = objectives.conjugate("chi2", "relu")
    np.testing.assert_array_equal(chi2.on_batch(y, 0.7, 5.0), chi2.loss(y, 0.7))
    np.testing.assert_array_equal(objectives.GUMBEL.on_batch(y, 2.0, 5.0), gumbel_rescaled(y, 2.0, 5.0))


@pytest.mark.parametrize("lambda_", [0.6, 0.8])
@pytest.mark.parametrize(
    ("key", "mode"), [("chi2", "relu"), ("chi2", "exact"), ("kl_n", "relu"), ("kl_n", "exact")]
)
def test_dual_weights_sum_to_what_stationarity_says(key, mode, lambda_, values):
    """E_mu[ratio] passes (1 - lambda) / lambda at the minimum over V, with a jump if that is a value of Q."""
    q, p = values
    maximiser = objectives.conjugate(key, mode)
    v = argmin(maximiser.loss, lambda_, values)
    moved = (jnp.asarray(q - v - c) for c in (2e-6, -2e-6))
    above, below = (float(p @ dual_weight(maximiser, y, lambda_)) for y in moved)
    assert above - 1e-5 <= (1 - lambda_) / lambda_ <= below + 1e-5
    assert below - above < (1e-5 if mode == "exact" else 1)


@pytest.mark.parametrize("loss", [objectives.GUMBEL, objectives.SQL])
def test_dual_weights_of_temperatures_sum_to_one(loss, values):
    q, p = values
    ratio = dual_weight(loss, jnp.asarray(q - argmin(loss.loss, 0.7, values)), 0.7)
    assert float(p @ ratio) == pytest.approx(1, abs=1e-5)


def test_dual_weights_of_tv_are_an_indicator_and_no_parameter_divides_residuals():
    y = jnp.array([-3.0, -0.4, 0.0, 0.3, 0.7, 50.0])
    tv, chi2 = objectives.conjugate("tv", "relu"), objectives.conjugate("chi2", "relu")
    np.testing.assert_array_equal(dual_weight(tv, y, 0.8), [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(dual_weight(chi2, y, 0.8), [0, 0, 0, 1.15, 1.35, 26], rtol=1e-12)
    np.testing.assert_allclose(
        dual_weight(objectives.conjugate("chi2", "exact"), y, 0.8), [0, 0.8, 1, 1.15, 1.35, 26], rtol=1e-12
    )
    with pytest.raises(UsageError, match="the expectile is the conjugate of no divergence"):
        dual_weight(objectives.EXPECTILE, y, 0.8)


def test_logistic_loss_by_hand():
    found = objectives.logistic(jnp.array([0.0, 2.0]), jnp.array([[3.0, 4.0], [0.0, 1.0]]), -1.0, 0.1)
    np.testing.assert_allclose(found, [np.log(2) + 2.5, np.log1p(np.exp(2)) + 0.1], rtol=1e-12)


def test_objectives_of_a_spread_batch_are_those_of_the_whole():
    """Over four devices: the largest exponent of the Gumbel loss, and value and gradient of log E e^y."""
    mesh = spmd.mesh("data", jax.devices()[:4])
    rng = np.random.default_rng(4)
    y, d_o = jnp.asarray(rng.normal(size=8)), jnp.asarray(rng.dirichlet(np.ones(8)))

    def spread(fn):
        out = jax.shard_map(
            fn, mesh=mesh, in_specs=(spmd.P("data"), spmd.P("data")), out_specs=spmd.P(), check_vma=False
        )
        return jax.jit(out)(y, 4 * d_o)

    def gumbel_mean(y, d_o):
        return spmd.mean((d_o * gumbel_rescaled(y, 0.5, 7.0, "data")).sum(), "data")

    assert float(spread(gumbel_mean)) == pytest.approx(float(d_o @ gumbel_rescaled(y, 0.5, 7.0)), rel=1e-12)

    def shifted(y, d_o):
        return spmd.pmean_grad(lambda c: kl_objective(0.3 * c, c * y, d_o, 0.5, "data")[0], "data")(1.0)

    wanted = jax.value_and_grad(lambda c: kl_objective(0.3 * c, c * y, d_o, 0.5)[0])(1.0)
    np.testing.assert_allclose(spread(shifted), wanted, rtol=1e-12)
