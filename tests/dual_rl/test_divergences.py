"""The registry against Legendre's identities, numerical suprema, and automatic differentiation."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl.divergences import DIVERGENCES, SURROGATES, Surrogate, check_lambda, divergence
from tests.dual_rl.dual_tables import quick

N = 10_000
NEVER_NEGATIVE = ("kl", "kl_n", "fkl", "hel", "js")  # (f')^-1 > 0 on the whole domain


FUNCTIONS = ("f", "f_prime", "f_star", "f_prime_inverse")
COMPILED = {
    key: replace(d, **{name: jax.jit(getattr(d, name)) for name in FUNCTIONS})
    for key, d in DIVERGENCES.items()
}


@pytest.fixture(params=list(DIVERGENCES))
def d(request):
    with jax.enable_x64(True):
        yield COMPILED[request.param]


def ratios(rng):
    return np.exp(rng.uniform(-8, 5, N))


def duals(d, rng, lower=None):
    """Points of the domain, a third of them at 1e-6 to 1 from its edge.

    lower: -1/2 for f* of tv, which is infinite below, while f*_p is constant there.
    """
    lower = lower or (-0.5 if d.key == "tv" else -20.0)
    if np.isinf(d.f_prime_inf):
        return rng.uniform(lower, 20, N)
    below = np.r_[10 ** rng.uniform(-6, 0, N // 3), rng.uniform(0, 30, N - N // 3)]
    return np.maximum(d.f_prime_inf - below, lower)


def test_f_vanishes_at_one_and_ends_as_listed(d):
    assert float(d.f(1.0)) == 0
    assert float(d.f(jnp.zeros(()))) == d.f_zero
    assert float(d.f_prime(1e12)) == pytest.approx(d.f_prime_inf, abs=1e-5) or np.isinf(d.f_prime_inf)


def test_fenchel_young(d):
    rng = np.random.default_rng(1)
    t, y = ratios(rng), duals(d, rng)
    assert np.all(np.asarray(d.f(t) + d.f_star(y) - t * y) >= -1e-9 * (1 + np.abs(t * y)))
    slope = d.f_prime(t)
    np.testing.assert_allclose(d.f_star(slope), t * slope - d.f(t), rtol=1e-9, atol=1e-9)
    if d.key != "tv":  # there f' is not invertible
        np.testing.assert_allclose(d.f_prime_inverse(slope), t, rtol=1e-6)


def test_conjugates_are_the_suprema_they_stand_for(d):
    """Against a maximum over a fine grid of ratios, from below by at most what the grid misses."""
    rng = np.random.default_rng(2)
    floor = rng.uniform(0, 1, 50)
    y = duals(d, rng, -20.0)[:: N // 50][:50]
    y = y[np.asarray(d.w(y)) < 1e3]  # the maximum lies within the grid
    floor = floor[: len(y)]
    grid = np.r_[0, 1, np.exp(np.linspace(-25, 8, 20_001))]
    values = y[:, None] * grid - np.asarray(d.f(grid))
    free = values.max(1)
    above = np.maximum(np.where(grid >= floor[:, None], values, -np.inf).max(1), y * floor - d.f(floor))
    for found, wanted in ((d.f_star_p(y), free), (d.f_star_above(y, floor), above)):
        assert np.all(np.asarray(found) >= wanted - 1e-9)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_f_star_p_is_convex_and_does_not_decrease(d):
    rng = np.random.default_rng(3)
    a, b, share = duals(d, rng, -20.0), duals(d, rng, -20.0), rng.uniform(size=N)
    between = d.f_star_p(share * a + (1 - share) * b)
    chord = share * np.asarray(d.f_star_p(a)) + (1 - share) * np.asarray(d.f_star_p(b))
    assert np.all(np.asarray(between) <= chord + 1e-9 * (1 + np.abs(chord)))
    low, high = np.minimum(a, b), np.maximum(a, b)
    assert np.all(np.asarray(d.f_star_p(high) - d.f_star_p(low)) >= -1e-12)
    if d.key in NEVER_NEGATIVE:
        np.testing.assert_array_equal(d.f_star_p(a), d.f_star(a))


def test_f_is_convex(d):
    rng = np.random.default_rng(4)
    a, b, share = ratios(rng), ratios(rng), rng.uniform(size=N)
    chord = share * np.asarray(d.f(a)) + (1 - share) * np.asarray(d.f(b))
    assert np.all(np.asarray(d.f(share * a + (1 - share) * b)) <= chord + 1e-9 * (1 + np.abs(chord)))


@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
def test_jit_and_gradients_are_finite_inside_and_equal_the_ratio(d, x64):
    rng = np.random.default_rng(5)
    with jax.enable_x64(x64):
        y, t = jnp.asarray(duals(d, rng)), jnp.asarray(ratios(rng))
        y = jnp.where(y < d.f_prime_inf, y, -1.0)  # single precision may round onto the edge
        on_rows = [jax.vmap(jax.value_and_grad(f)) for f in (d.f_star_p, d.f)]
        (value, slope), (of_ratio, its_slope) = quick(lambda y, t: (on_rows[0](y), on_rows[1](t)))(y, t)
        assert y.dtype == value.dtype == (jnp.float64 if x64 else jnp.float32)
        assert jnp.isfinite(value).all()
        tight = 1e-9 if x64 else 2e-3
        np.testing.assert_allclose(slope, d.w(y), rtol=tight, atol=1e-12 if x64 else 1e-6)
        assert jnp.isfinite(of_ratio).all()
        np.testing.assert_allclose(its_slope, d.f_prime(t), rtol=tight, atol=1e-10 if x64 else 1e-4)


def test_nothing_is_nan_at_the_edges_or_outside(d):
    edge = d.f_prime_inf if np.isfinite(d.f_prime_inf) else 1e29
    y = jnp.array([-1e30, -2.0, -0.5, 0.0, edge, 1e30])
    t = jnp.array([-1.0, 0.0, 1e-300, 1.0, 1e300])
    of_y = (d.f_star_p, d.w, d.f_star, lambda y: d.f_star_above(y, 0.5))

    @quick
    def look(y, t):
        values = [g(y) for g in of_y] + [d.f(t), d.f_prime(t)]
        return values + [jax.vmap(jax.grad(g))(x) for g, x in [(g, y) for g in of_y] + [(d.f, t)]]

    assert not any(np.isnan(x).any() for x in look(y, t))


def test_beyond_the_edge_the_conjugate_is_infinite(d):
    if np.isfinite(d.f_prime_inf):
        assert jnp.isinf(d.f_star_p(d.f_prime_inf + jnp.array([1e-9, 1.0]))).all()
        edge = float(d.f_star_p(jnp.asarray(d.f_prime_inf)))
        assert edge == (0.5 if d.key == "tv" else np.inf)


def test_between_distributions_by_a_loop(d):
    rng = np.random.default_rng(6)
    p, q = rng.dirichlet(np.ones(6), 2)
    p[0], q[1] = 0, 0  # p lacks a point of q, and the reverse
    p, q = p / p.sum(), q / q.sum()
    total = sum(q[i] * float(d.f(jnp.asarray(p[i] / q[i]))) for i in range(6) if q[i] > 0)
    outside = d.f_prime_inf * p[1]
    assert float(d.between(p, q)) == pytest.approx(total + outside, rel=1e-12)
    assert float(d.between(p, p)) == pytest.approx(0, abs=1e-15)
    assert d.key == "fkl" or 0 < float(d.between(q, 0.5 * (p + q))) < np.inf


def test_surrogates_agree_where_they_should_and_not_elsewhere():
    y = jnp.linspace(-10, 10, 2001)
    literal, relu, exact = (Surrogate("chi2", mode)(y) for mode in SURROGATES)
    np.testing.assert_array_equal(literal[y >= -4], relu[y >= -4])
    assert (literal[y < -4] > relu[y < -4]).all()
    assert (jnp.diff(jnp.diff(literal)) >= -1e-5).all()  # convex all the same: a maximum of convex functions
    np.testing.assert_array_equal(relu[y > 0], exact[y > 0])
    assert float(exact.min()) == -1
    np.testing.assert_array_equal(Surrogate("tv", "literal")(y), jnp.maximum(y, 0))
    np.testing.assert_array_equal(Surrogate("tv", "relu")(y), jnp.maximum(y, 0))
    np.testing.assert_array_equal(Surrogate("kl", "relu")(y), Surrogate("kl_n", "relu")(y))


@pytest.mark.parametrize("key", ["kl_n", "hel", "chi2", "js", "tv"])
def test_relu_starts_with_slope_one_is_convex_and_flat_below(key):
    with jax.enable_x64(True):
        h = Surrogate(key, "relu")
        y = np.r_[np.linspace(-3, min(h.edge, 3.0) - 1e-3, 501), 1e-9, min(h.edge + 1, 1e9)]
        value, slope = (np.asarray(x) for x in quick(jax.vmap(jax.value_and_grad(h)))(y))
        assert slope[-2] == pytest.approx(1, abs=1e-8)
        assert (np.diff(slope[:-2]) >= 0).all()
        assert (value[y <= 0] == 0).all()
        assert value[-1] == np.inf or np.isinf(h.edge)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: divergence("ch2"), "divergence: 'ch2' is unknown; did you mean 'chi2'"),
        (lambda: divergence("reverse-KL"), "divergence: 'reverse-KL' is unknown"),
        (lambda: Surrogate("ch2", "relu"), "did you mean 'chi2'"),
        (lambda: Surrogate("chi2", "rely"), "surrogate: 'rely' is unknown; did you mean 'relu'"),
        (lambda: Surrogate("fkl", "relu"), "surrogate: fkl has no relu form"),
        (lambda: Surrogate("js", "literal"), "surrogate: literal formulas exist for chi2 and tv"),
        (lambda: check_lambda("chi2", 1.0), r"lambda_: must lie in \(0, 1\), got 1.0"),
        (lambda: check_lambda("kl", 0.0), r"lambda_: must lie in \(0, 1\), got 0.0"),
        (lambda: check_lambda("chi2", float("nan")), r"lambda_: must lie in \(0, 1\), got nan"),
        (lambda: check_lambda("tv", 0.5), "lambda_: must be > 1/2 for tv, got 0.5"),
        (lambda: check_lambda("tw", 0.5), "divergence: 'tw' is unknown"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_lambdas_that_are_fine():
    check_lambda("tv", 0.51)
    check_lambda("chi2", 0.01)
