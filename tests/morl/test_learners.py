"""Values of policies on tables and by episodes, and what is kept of a learner."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.morl import learners
from jaxrl.morl.learners import EvaluationOptions
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP
from theory.exact.policy_evaluation import evaluate_policy

exact = jax.jit(learners.exact_values)


def test_exact_values_are_those_of_the_linear_solve():
    pi = np.asarray(jax.nn.softmax(jnp.sin(jnp.arange(15.0)).reshape(5, 3)))
    found = exact(MDP, jnp.asarray(pi), jnp.float32(0.9))
    np.testing.assert_allclose(found.returns, evaluate_policy(MDP, pi).j, rtol=1e-5)
    assert float(found.length) == pytest.approx(10.0, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.99, 1.0])
def test_exact_values_of_a_way_to_a_treasure_are_its_own(gamma):
    """Right to column 9, then down to the treasure 124 in 19 steps."""
    env = DeepSeaTreasure("concave")
    mdp = env.to_tabular(env.default_params())
    pi = np.zeros((122, 4), np.float32)
    pi[:, 1] = 1
    pi[:9] = [0, 0, 0, 1]
    found = exact(mdp, jnp.asarray(pi), jnp.float32(gamma))
    np.testing.assert_allclose(found.returns, env.front(gamma)[9], rtol=1e-5)
    np.testing.assert_allclose(found.undiscounted, [124.0, -19.0], rtol=1e-6)
    assert float(found.length) == pytest.approx(-float(found.returns[1]), rel=1e-6)


def test_exact_values_average_rewards_over_successors():
    R = jnp.broadcast_to(jnp.arange(5.0)[:, None], (5, 3, 5, 2))
    mdp = MDP.replace(R=R)
    pi = jnp.full((5, 3), 1 / 3)
    mean = MDP.replace(R=jnp.einsum("sat,satm->sam", MDP.P, R))
    assert mdp.reward_on_successor
    a, b = exact(mdp, pi, jnp.float32(0.9)), exact(mean, pi, jnp.float32(0.9))
    np.testing.assert_allclose(a.returns, b.returns, rtol=1e-5)


@pytest.fixture(scope="module")
def state():
    return jax.jit(ppo.make(LEARNER, ENV).init)(jax.random.key(0), ppo.Hyper(w=jnp.ones(2)), MDP)


def test_episodes_estimate_the_exact_values(state):
    """512 episodes of 60 steps; five standard errors of a discounted return whose deviation is below 0.7."""
    policy, gamma = learners.snapshot(state), jnp.float32(0.9)
    options = EvaluationOptions("sampled", episodes=512, limit=60)
    sampled = jax.jit(learners.evaluator(LEARNER, ENV, options))(jax.random.key(1), policy, MDP, gamma)
    true = jax.jit(learners.evaluator(LEARNER, ENV, EXACT))(jax.random.key(1), policy, MDP, gamma)
    np.testing.assert_allclose(sampled.returns, true.returns, atol=5 * 0.7 / np.sqrt(512) + 0.02)
    assert float(sampled.length) == pytest.approx((1 - 0.9**60) / 0.1, rel=1e-5)


def test_a_snapshot_goes_on_as_the_policy_it_was_taken_of(state):
    other = jax.jit(ppo.make(LEARNER, ENV).init)(jax.random.key(7), ppo.Hyper(w=jnp.ones(2)), MDP)
    again = learners.resumed(other, learners.snapshot(state))
    for a, b in zip(jax.tree.leaves(again.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(again.updates) == 0


def test_scalar_rewards_are_referred_to_ppo():
    with pytest.raises(UsageError, match=r"scalar rewards.*use jaxrl.baselines.ppo"):
        learners.check_learner(LEARNER, CartPole(), EvaluationOptions())


def test_exact_evaluation_needs_tables():
    with pytest.raises(UsageError, match=r"EvaluationOptions.kind: .exact. needs stationary tables"):
        learners.check_learner(LEARNER, DeepSeaTreasure(), EXACT)
