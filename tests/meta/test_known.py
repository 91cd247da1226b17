"""Lifetimes of known truth against recursions of their own and against samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.meta import known
from jaxrl.meta.estimators import run
from theory.meta import quadratic

SMALL = dict(means=[[1.0, -0.5], [0.2, 0.6]], noise=0.5)


def sampled(problem, phi, n):
    """Mean and standard error of the final fitness over n lifetimes."""
    keys = jax.random.split(jax.random.key(1), n)
    found = jax.jit(jax.vmap(lambda key: run(problem.lifetime, phi[None], key)[-1]))(keys)
    return float(found.mean()), float(found.std() / np.sqrt(n))


def test_the_quadratic_lifetime_has_the_loss_of_its_optimal_steps():
    with jax.enable_x64(True):
        for N in (1, 2, 4, 8):
            best = quadratic.best_lifetime(N)
            problem, phi = known.quadratic(N, known.table), jnp.log(jnp.asarray(best.steps))
            assert float(problem.truth(phi)) == pytest.approx(-np.log(best.loss), rel=1e-9)
            last = run(problem.lifetime, phi[None], jax.random.key(0))[-1]
            assert float(last) == pytest.approx(-np.log(best.loss), rel=1e-9)


def test_the_noisy_quadratic_has_the_loss_of_its_second_moments():
    two = quadratic.TWO_MODES
    steps = np.array([0.9, 0.5, 0.3])
    problem = known.noisy_quadratic(3, known.table, two.curvature, two.variance, two.start)
    phi = jnp.log(jnp.asarray(steps, jnp.float32))
    assert float(problem.truth(phi)) == pytest.approx(-quadratic.noisy_loss(two, steps), rel=1e-5)
    mean, error = sampled(problem, phi, 20_000)
    assert abs(mean - float(problem.truth(phi))) < 4 * error


def test_the_bandit_has_the_mean_of_all_its_outcomes():
    problem = known.bandit(2, known.table, **SMALL)
    phi = jnp.asarray([0.3, -0.2])
    mean, error = sampled(problem, phi, 40_000)
    assert abs(mean - float(problem.truth(phi))) < 4 * error
    assert float(problem.truth(jnp.asarray([-30.0, -30.0]))) == pytest.approx(np.mean(SMALL["means"]))


def test_step_sizes_are_their_formulas():
    assert float(known.table(jnp.asarray([0.0, 1.0]), jnp.int32(1))) == pytest.approx(np.e)
    phi = jnp.asarray([0.1, 2.0, -0.5])
    assert float(known.schedule(8)(phi, jnp.int32(2))) == pytest.approx(np.exp(0.6) / np.sqrt(8), rel=1e-6)
    assert known.network_size() == 337
    zero = jnp.zeros(known.network_size())
    assert float(known.network(4, 8)(zero, jnp.int32(3))) == 1.0


def test_the_network_sees_time_only_if_it_may():
    phi = jnp.asarray(np.random.default_rng(0).normal(size=known.network_size()), jnp.float32)
    aware, blind = known.network(4, 8), known.network(4, 8, aware=0.0)
    assert float(aware(phi, jnp.int32(0))) != float(aware(phi, jnp.int32(3)))
    assert float(blind(phi, jnp.int32(0))) == float(blind(phi, jnp.int32(3)))
    assert float(blind(phi, jnp.int32(0))) == float(known.network(2, 8, aware=0.0)(phi, jnp.int32(1)))


def test_lifetimes_without_updates_are_refused():
    for wrong in (lambda: known.schedule(0), lambda: known.quadratic(0, known.table)):
        with pytest.raises(UsageError, match="N: must be >= 1, got 0"):
            wrong()
