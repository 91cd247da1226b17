"""Where the learner comes to rest on tables, against what the exact solvers say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, root
from scipy.special import log_softmax

from jaxrl.data.dataset import from_occupancy
from jaxrl.dual_rl.batches import Data
from jaxrl.dual_rl.divergences import divergence
from jaxrl.dual_rl.learner import Config, hyper
from jaxrl.dual_rl.methods import METHODS
from tests.dual_rl.dual_tables import TABLE, certain_problem, policy_table, start_of, table_of, train
from theory.dual_rl.duality import dual_v
from theory.dual_rl.gradients import Arrays, at_rest, expected_update
from theory.dual_rl.imitation import recoil_released, smodice
from theory.dual_rl.reference import reference_problem
from theory.dual_rl.solve import run
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.tables import tables

PROBLEM = reference_problem()
CERTAIN = certain_problem()
T = tables(CERTAIN.mdp)
SLOWER = ((0.05, 0.05, 1500), (0.005, 0.005, 1000), (0.0005, 0.0005, 800))


# --- semi-gradient methods: one program for all of them ------------------------------------------------

LOSSES = ("XQL", "f-DVL chi2", "f-DVL chi2 literal", "f-DVL chi2 exact", "f-DVL tv", "f-DVL kl", "IQL")


@pytest.fixture(scope="module")
def maximisers():
    config = Config(methods=LOSSES, **TABLE)
    hypers = [hyper(config, name, gamma=0.9, tau=0.2) for name in LOSSES]
    return train(config, hypers, Data(from_occupancy(PROBLEM.d_o, PROBLEM.mdp)), SLOWER)


@pytest.mark.parametrize("name", LOSSES)
def test_implicit_maximisers_rest_at_the_exact_fixed_point(maximisers, name):
    """tv and the cut losses are not smooth: Adam hovers at a few steps of 5e-4 around their minimum."""
    params, _ = maximisers
    exact, i = run(METHODS[name], PROBLEM), LOSSES.index(name)
    np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.variable, atol=1e-2)
    np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=1e-3)


def test_q_is_the_expected_target_on_the_data(maximisers):
    params, _ = maximisers
    v = table_of(params["v"])[..., 0]
    t = tables(PROBLEM.mdp)
    expected = t.R + 0.9 * np.einsum("sat,bt->bsa", t.P, v)
    q = table_of(params["q"])  # [B, 2, S, A]
    np.testing.assert_allclose(q, np.repeat(expected[:, None], 2, 1), atol=2e-2)


@pytest.mark.slow
def test_dual_weights_extract_the_exact_policy():
    names = ("SQL", "EQL")
    config = Config(methods=names, **TABLE)
    members = [(name, parameter) for name in names for parameter in (1.0, 0.3)]
    hypers = [hyper(config, name, gamma=0.9, tau=0.2, parameter=p) for name, p in members]
    params, _ = train(config, hypers, Data(from_occupancy(PROBLEM.d_o, PROBLEM.mdp)), SLOWER)
    for i, (name, parameter) in enumerate(members):
        exact = run(METHODS[name], PROBLEM, parameter)
        np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.variable, atol=1e-2)
        np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=2e-3)


# --- gradients through V(s') -----------------------------------------------------------------------------


def test_the_full_gradient_solves_the_dual():
    config = Config(methods=("OptiDICE",), **TABLE)
    data = Data(from_occupancy(CERTAIN.d_o, CERTAIN.mdp), start=start_of(CERTAIN.mdp))
    hypers = [hyper(config, gamma=0.9, parameter=a, cap=1e6) for a in (1.0, 0.5)]
    params, metrics = train(config, hypers, data, SLOWER)
    for i, alpha in enumerate((1.0, 0.5)):
        exact = dual_v(CERTAIN.mdp, CERTAIN.d_o, "chi2", alpha)
        np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.variable, atol=1e-3)
        np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=1e-3)
        assert float(metrics["v_loss"][i]) == pytest.approx(exact.value, abs=1e-4)


@pytest.mark.slow
def test_single_transitions_bias_the_full_gradient_where_successors_are_random():
    """On M1 the residual of a sampled successor stands in a convex f*: V rests elsewhere, as thm_05 says."""
    config = Config(methods=("OptiDICE",), **TABLE)
    data = Data(from_occupancy(PROBLEM.d_o, PROBLEM.mdp), start=start_of(PROBLEM.mdp))
    _, metrics = train(config, [hyper(config, gamma=0.9)], data, SLOWER)
    exact = dual_v(PROBLEM.mdp, PROBLEM.d_o, "chi2")
    assert float(metrics["v_loss"][0]) > exact.value + 1e-3


@pytest.mark.slow
def test_the_orthogonal_gradient_rests_where_its_expectation_vanishes():
    """The projection is in parameter space, where one-hot states and the bias have the metric I + 1 1'."""
    alpha = 0.5
    config = Config(methods=("ODICE",), **TABLE)
    data = Data(from_occupancy(CERTAIN.d_o, CERTAIN.mdp))
    params, _ = train(config, [hyper(config, gamma=0.9, tau=0.2, parameter=alpha, cap=1e6)], data, SLOWER)
    f, metric = divergence("chi2"), np.eye(5) + 1
    with jax.enable_x64(True):
        arrays = Arrays(*(jnp.asarray(x) for x in (T.P, T.R / alpha, T.mu0, T.gamma, CERTAIN.d_o)))

        def field(v, metric=metric):
            d = np.asarray(CERTAIN.d_o * f.w(T.R / alpha + T.gamma * T.P @ v - v[:, None]))
            u, b = d.sum(1), T.gamma * np.einsum("sa,sat->t", d, T.P)
            return CERTAIN.d_o.sum(1) - u + b - (b @ metric @ u) / (u @ metric @ u) * u

        rest = at_rest(CERTAIN.mdp, CERTAIN.d_o, "chi2", alpha, "orthogonal").v / alpha
        here = expected_update(jnp.asarray(rest), arrays, f, "orthogonal")
        np.testing.assert_allclose(field(rest, np.eye(5)), here, atol=1e-12)
        v = alpha * root(field, rest, tol=1e-13).x
        policy = policy_of(CERTAIN.d_o * np.asarray(f.w((T.R + T.gamma * T.P @ v - v[:, None]) / alpha)))
    assert np.abs(v - alpha * rest).max() > 1e-2  # the metric matters
    np.testing.assert_allclose(table_of(params["v"])[0, :, 0], v, atol=1e-3)
    np.testing.assert_allclose(policy_table(params)[0], policy, atol=1e-3)


# --- imitation -------------------------------------------------------------------------------------------


def explorer():
    """Occupancy of the expert with a tenth of its actions at random, so that it visits every pair."""
    return discounted_occupancy(CERTAIN.mdp, 0.9 * policy_of(CERTAIN.d_e) + 0.1 / 3)


def test_recoil_as_released():
    config = Config(methods=("ReCOIL released",), **TABLE)
    mixed = 0.9 * PROBLEM.d_s + 0.1 * PROBLEM.d_e
    data = Data(from_occupancy(mixed, PROBLEM.mdp), from_occupancy(PROBLEM.d_e, PROBLEM.mdp))
    hypers = [hyper(config, gamma=0.9, tau=0.2, clip=np.inf, parameter=b) for b in (1.0, 5.0)]
    fall = ((0.2, 0.2, 2500), (0.02, 0.02, 1500), (0.002, 0.002, 1500), (2e-4, 2e-4, 1000))
    params, _ = train(config, hypers, data, fall)
    for i, temperature in enumerate((1.0, 5.0)):
        exact = recoil_released(PROBLEM.mdp, PROBLEM.d_e, mixed, temperature=temperature)
        np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.v, atol=1e-3)
        np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=1e-3)


def test_smodice_and_its_discriminator():
    """V only up to a constant, which log E e^y leaves open."""
    config, d_e = Config(methods=("SMODICE",), **TABLE), explorer()
    d_s = certain_problem(uncovered=3).d_s
    data = Data(from_occupancy(d_s, CERTAIN.mdp), from_occupancy(d_e, CERTAIN.mdp), start_of(CERTAIN.mdp))
    hypers = [hyper(config, gamma=0.9, penalty=0.0, cap=1e6)]
    params, _ = train(config, hypers, data, ((0.05, 0.05, 3000), (0.005, 0.005, 2000), (5e-4, 5e-4, 1500)))
    exact = smodice(CERTAIN.mdp, d_e, d_s)
    difference = table_of(params["v"])[0, :, 0] - exact.variable
    assert np.ptp(difference) < 1e-3
    np.testing.assert_allclose(policy_table(params)[0], exact.policy, atol=1e-3)
    np.testing.assert_allclose(table_of(params["ratio"])[0, :, 0], np.log(d_e.sum(1) / d_s.sum(1)), atol=1e-3)


ENTROPY = 0.05


def best_policy(value):
    """Policy that maximises `value(d) + ENTROPY E_d[-log pi]`, by a general optimiser over logits."""

    def log_policy(logits):
        return log_softmax(np.clip(logits, -30, 30).reshape(5, 3), axis=1)

    def loss(logits):
        log_pi = log_policy(logits)
        d = discounted_occupancy(CERTAIN.mdp, np.exp(log_pi))
        return -value(d) + ENTROPY * (d * log_pi).sum()

    found = minimize(loss, np.zeros(15), tol=1e-12)
    return np.exp(log_policy(found.x)), -found.fun


def distance(p, q):
    """Pearson chi-square."""
    return float((q * (p / q - 1) ** 2).sum())


def entropy_between(p, q):
    """Kullback-Leibler."""
    return float((p * np.log(p / q)).sum())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("AlgaeDICE", marks=pytest.mark.slow),
        pytest.param("IQ-Learn", marks=pytest.mark.slow),
        pytest.param("ValueDICE", marks=pytest.mark.slow),
        pytest.param("OPOLO", marks=pytest.mark.slow),
        "ReCOIL-Q",
    ],
)
def test_dual_q_finds_the_policy_of_the_primal(name):
    """max over pi of min over Q with a slower pi, against the primal maximised without any dual."""
    d_e, d_o, d_s = explorer(), CERTAIN.d_o, CERTAIN.d_s
    value = {
        "AlgaeDICE": lambda d: float((d * T.R).sum()) - distance(d, d_o),
        "IQ-Learn": lambda d: -distance(d, d_e),
        "ValueDICE": lambda d: -entropy_between(d, d_e),
        "OPOLO": lambda d: d.sum(1) @ np.log(d_e.sum(1) / d_o.sum(1)) - entropy_between(d, d_o),
        # entropy enters through beta times the start term
        "ReCOIL-Q": lambda d: -distance(0.5 * d + 0.5 * d_s, 0.5 * d_e + 0.5 * d_s) / 0.5,
    }[name]
    policy, best = best_policy(value)
    config = Config(methods=(name,), **TABLE)
    data = Data(
        from_occupancy(d_s if name == "ReCOIL-Q" else d_o, CERTAIN.mdp),
        from_occupancy(d_e, CERTAIN.mdp),
        start_of(CERTAIN.mdp),
    )
    slow = ((0.1, 3e-3, 6000), (0.1, 3e-3, 4000), (0.01, 3e-4, 3000), (1e-3, 3e-5, 1000))
    params, metrics = train(config, [hyper(config, gamma=0.9, entropy=ENTROPY, penalty=0.0)], data, slow)
    np.testing.assert_allclose(policy_table(params)[0], policy, atol=2e-3)
    of_both = best * (0.5 if name == "ReCOIL-Q" else 1.0) * 2  # twin critics
    assert float(metrics["q_loss"][0]) == pytest.approx(of_both, abs=1e-4)


def test_conservative_q_rests_where_the_semi_gradient_of_v_does():
    """CQL: at the saddle Q does not tell apart the actions that the policy takes, and is the V of SQL."""
    config = Config(methods=("CQL",), **TABLE)
    data = Data(from_occupancy(CERTAIN.d_o, CERTAIN.mdp))
    phases = ((0.1, 3e-3, 6000), (0.1, 3e-3, 4000), (0.01, 3e-4, 3000), (1e-3, 3e-5, 1000))
    params, _ = train(config, [hyper(config, gamma=0.9, tau=0.2, entropy=0.0)], data, phases)
    exact = run(METHODS["CQL"], CERTAIN)
    np.testing.assert_allclose(table_of(params["q"])[0, 0], exact.variable, atol=5e-3)
    np.testing.assert_allclose(policy_table(params)[0], exact.policy, atol=5e-3)
