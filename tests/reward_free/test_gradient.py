"""Ascent by the gradient of the uncertainty finds what enumeration finds, and never loses a plan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.gradient import climb
from jaxrl.reward_free.oracles import ORACLES
from jaxrl.reward_free.uncertainty import of_policy
from tests.reward_free.mixtures import hashed, hashed_view, no_plan


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_ascent_from_random_starts_finds_the_enumerated_optimum_and_keeps_a_better_start():
    """The two optima are those of the exact oracle, which tries all policies and sets."""
    mixture = hashed()
    form, mu0, nothing = form_of(mixture), jnp.eye(3)[0], no_plan(4, 3)._replace(uncertainty=jnp.zeros(()))
    ascend = jax.jit(lambda view, start, key: climb(form, view, mu0, jnp.asarray(4), start, key))
    for beta, optimum in ((0.25, 0.0806704513), (1.0, 0.3599356657)):
        view = hashed_view(beta)
        found = ascend(view, nothing, jax.random.key(0))
        np.testing.assert_allclose(found.uncertainty, optimum, atol=1e-9)
        assert found.reward.max(1).sum() == 1
        again = of_policy(form, view, found.policy, found.reward, mu0, jnp.asarray(4))
        np.testing.assert_allclose(again.uncertainty, found.uncertainty, rtol=1e-12)
        better = found._replace(uncertainty=jnp.asarray(2.0))
        assert ascend(view, better, jax.random.key(1)).uncertainty == 2


@pytest.mark.slow
def test_the_oracle_by_gradients_finds_the_optimum_that_the_greedy_one_misses_on_one_of_forty_estimates():
    mixture = hashed()
    form, mu0, rng = form_of(mixture), jnp.eye(3)[0], np.random.default_rng(0)
    oracles = [jax.jit(ORACLES[name]) for name in ("vertex_greedy", "gradient", "exact")]
    missed = []
    for _ in range(40):
        half = rng.normal(size=(2, 1, 2, 2)) * rng.uniform(0.1, 1)
        hat, tilde = (jnp.asarray(x) for x in half @ half.swapaxes(-1, -2) + 1e-3 * np.eye(2))
        theta = mixture.theta[None] + 0.5 * rng.normal(size=(1, 2))
        view = hashed_view(0.5)._replace(theta=theta, hat=hat, tilde=tilde)
        plans = [
            oracle(form, view, mu0, jnp.asarray(4), no_plan(4, 3), jnp.zeros(()), jax.random.key(0))
            for oracle in oracles
        ]
        greedy, gradient, exact = (float(plan.uncertainty) for plan in plans)
        assert greedy <= gradient <= exact * (1 + 1e-12)
        np.testing.assert_allclose(gradient, exact, rtol=1e-6)
        missed += [1 - greedy / exact] if greedy < exact * (1 - 1e-9) else []
    assert missed == pytest.approx([0.0312], abs=1e-4)
