"""Means and covariances of the estimators against closed forms, and their blocks against the kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.meta import estimators, known
from jaxrl.meta.estimators import Config, Unrolled
from theory.meta import quadratic
from theory.meta.thm_08_evolution_moments import instance, plain_trace

F = instance()
PHI = jnp.asarray(F.phi, jnp.float32)
G = F.gradient()


def quadratic_of_phi(noise=0.0):
    """A lifetime of one update whose fitness is the quadratic F of phi, with noise of the task."""

    def update(phi, state, n, key):
        return (
            phi @ F.b.astype(np.float32)
            - (phi**2 @ F.h.astype(np.float32)) / 2
            + noise * jax.random.normal(key)
        )

    return Unrolled(lambda key: jnp.float32(0), update, lambda state: state, 1)


def drawn(config, lifetime, phi, n, sigma=0.1):
    """Estimates [n, D], in float64."""
    keys = jax.random.split(jax.random.key(0), n)
    one = jax.jit(jax.vmap(lambda key: estimators.estimate(config, lifetime, phi, sigma, key)))
    return np.asarray(one(keys), np.float64)


def moments(estimates):
    mean = estimates.mean(0)
    return mean, ((estimates - mean) ** 2).sum(1).mean()


@pytest.mark.parametrize(
    ("config", "noise", "trace"),
    [
        (Config("antithetic"), 1.0, 56.04),
        (Config("antithetic", shared=False), 1.0, 306.04),
        (Config("plain"), 0.0, plain_trace(F) / 2),
    ],
)
def test_means_and_traces_are_the_closed_forms(config, noise, trace):
    n = 100_000
    mean, found = moments(drawn(config, quadratic_of_phi(noise), PHI, n))
    assert found == pytest.approx(trace, rel=0.02)
    assert np.linalg.norm(mean - G) < 4 * np.sqrt(trace / n)


def test_ranks_point_along_a_linear_gradient_whatever_its_scale():
    line = Unrolled(
        lambda key: jnp.float32(0),
        lambda phi, state, n, key: 1e-3 * phi @ G.astype(np.float32),
        lambda state: state,
        1,
    )
    mean, _ = moments(drawn(Config("pairwise_rank"), line, 0 * PHI, 40_000))
    assert np.linalg.norm(mean) == pytest.approx(3.98942, rel=0.02)
    assert mean @ G / np.linalg.norm(mean) / np.linalg.norm(G) > 0.999


def accumulating(N):
    """A lifetime whose fitness is the sum over updates of c_n . phi, c_n = (1, n)."""

    def update(phi, state, n, key):
        return state + phi[0] + n * phi[1]

    return Unrolled(lambda key: jnp.float32(0), update, lambda state: state, N)


@pytest.mark.parametrize("kind", ["persistent", "noise_reuse"])
def test_estimates_of_one_window_have_the_gradient_of_the_lifetime_for_mean(kind):
    n = 40_000
    mean, trace = moments(drawn(Config(kind, window=2), accumulating(6), jnp.zeros(2), n))
    assert np.linalg.norm(mean - [6, 15]) < 4 * np.sqrt(trace / n)


def test_noise_of_a_single_window_is_the_antithetic_estimate():
    _, trace = moments(drawn(Config("persistent", window=6), accumulating(6), jnp.zeros(2), 20_000))
    assert trace == pytest.approx(3 * (36 + 225), rel=0.05)  # (d + 1) |g|^2


@pytest.mark.parametrize("K", [1, 4])
def test_truncated_gradients_vanish_exactly_where_every_block_is_optimal(K):
    with jax.enable_x64(True):
        problem = known.quadratic(8, known.table)
        optimal, blocks = (jnp.log(jnp.asarray(quadratic.truncated(k, 8))) for k in (8, K))

        @jax.jit
        def gradient(phi):
            config, key = Config("truncated", window=K), jax.random.key(0)
            return estimators.estimate(config, problem.lifetime, phi, 0.1, key)

        np.testing.assert_allclose(gradient(blocks), 0, atol=1e-6)
        assert np.abs(gradient(optimal)).max() > 0.1
        np.testing.assert_allclose(jax.grad(problem.truth)(optimal), 0, atol=1e-6)


def test_the_full_gradient_is_that_of_the_truth_and_of_one_window():
    problem = known.quadratic(4, known.table)
    phi = jnp.asarray([0.1, 0.3, -0.2, 0.5])
    full, one = (
        jax.jit(lambda x, c=c: estimators.estimate(c, problem.lifetime, x, 0.1, jax.random.key(0)))(phi)
        for c in (Config("full"), Config("truncated", window=4))
    )
    np.testing.assert_allclose(full, jax.grad(problem.truth)(phi), rtol=1e-5)
    np.testing.assert_array_equal(full, one)


@pytest.mark.slow
def test_gradients_through_sampled_arms_held_fixed_are_biased_and_those_of_pairs_are_not():
    problem = known.bandit(2, known.table, [[2.0, 1.0], [1.0, 2.0]], 0.5)
    phi, n = jnp.asarray([1.0, 1.0]), 20_000
    truth, held = (
        np.asarray(jax.jit(jax.grad(lambda x, h=h: problem.truth(x, h)))(phi)) for h in (False, True)
    )
    assert np.linalg.norm(held - truth) > 0.8 * np.linalg.norm(truth)
    for config, expected in ((Config("full"), held), (Config("antithetic"), truth)):
        mean, trace = moments(drawn(config, problem.lifetime, phi, n, sigma=0.05))
        assert np.linalg.norm(mean - expected) < 4 * np.sqrt(trace / n)


def test_an_estimate_costs_its_updates():
    assert estimators.updates(Config("truncated", window=2), 8) == 8
    assert estimators.updates(Config("antithetic", samples=3), 8) == 48
    assert estimators.updates(Config("persistent", window=2), 8) == 4


def test_windows_that_do_not_divide_the_lifetime_are_refused():
    for window in (3, 16):
        with pytest.raises(UsageError, match="window"):
            config = Config("truncated", window=window)
            estimators.estimate(config, accumulating(8), jnp.zeros(2), 0.1, jax.random.key(0))
