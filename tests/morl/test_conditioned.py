"""One network for all preferences: its values belong to the preference that it reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.morl import conditioned
from jaxrl.morl.learners import EvaluationOptions
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, REFERENCE, WEIGHTS


@pytest.fixture(scope="module")
def trained():
    """The learner on the formula MDP after 60 updates: `(algorithm, hyper, state, first, last metrics)`."""
    config = conditioned.Config(
        ppo.Config(n_envs=16, length=16, epochs=4, minibatches=4, widths=(16,)), 64, EXACT, updates=20
    )
    algorithm = conditioned.make(config, ENV)
    learner = ppo.Hyper(lr=0.02, gamma=0.9, entropy=0.05, updates_total=60.0)
    hyper = jax.tree.map(jnp.asarray, conditioned.Hyper(WEIGHTS, REFERENCE, learner, gamma=0.9))
    state = jax.jit(algorithm.init)(jax.random.key(1), hyper, MDP)
    step = jax.jit(algorithm.step)
    history = []
    for _ in range(3):
        state, metrics = step(state, hyper, MDP)
        history.append(np.asarray(metrics["utility"]))
    return algorithm, hyper, state, history


def test_utility_rises_for_every_preference_towards_the_optimum(trained):
    _, _, _, history = trained
    # largest utilities of all stationary policies, by enumeration: hull of the formula MDP
    best = np.array([7.98101807, (7.35466152 + 7.78728333) / 2, 8.05479376])
    assert np.all(history[-1] <= best + 1e-4)
    assert np.all(history[-1] > best - 0.35)
    assert history[-1].mean() > history[0].mean()


def test_policy_depends_on_the_preference_and_the_archive_keeps_it(trained):
    algorithm, hyper, state, _ = trained
    policy = algorithm.act(state, hyper, True)
    act = jax.jit(jax.vmap(lambda s, w: policy.act(jax.random.key(0), {"obs": s, "preference": w}, ())[0]))
    states = jnp.arange(5)
    first, last = (
        act(states, jnp.broadcast_to(w, (5, 2))) for w in jnp.asarray(WEIGHTS)[jnp.asarray([0, 2])]
    )
    assert np.any(np.asarray(first) != np.asarray(last))
    kept = np.asarray(state.archive.entries.policy["preference"])[np.asarray(state.archive.valid)]
    assert {tuple(w) for w in kept} <= {tuple(w) for w in WEIGHTS}
    assert len(kept) >= 2


def test_scalar_rewards_are_refused():
    with pytest.raises(UsageError, match="C-MORL needs 2"):
        conditioned.make(conditioned.Config(LEARNER, 8, EvaluationOptions("sampled")), CartPole())
