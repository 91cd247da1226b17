"""Plans on tables: against exact backward induction, ties, and stages that do not count."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.mdp import time_indexed
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.reward_free.tabular.planning import backward, best, evaluate, pick, plan
from theory.exact.optimal_control import solve
from theory.exact.policy_evaluation import evaluate_policy


def test_plans_of_many_rewards_are_the_exact_optima():
    with jax.enable_x64(True):
        mdp = Tabular(5, 3).default_params()
        mdp = mdp.replace(gamma=jnp.asarray(0.9))
        rewards = jax.random.uniform(jax.random.key(0), (6, 4, 5, 3), jnp.float64)
        policies, values = plan(mdp.P[None], rewards, 4, 0.9)
        table = time_indexed(mdp, 4)
        for R, policy, value in zip(rewards, policies, values, strict=True):
            exact = solve(table.replace(R=R))
            np.testing.assert_array_equal(policy, exact.policy)
            np.testing.assert_allclose(value, exact.v[0], rtol=0, atol=1e-12)


def test_values_of_policies_are_the_exact_ones():
    with jax.enable_x64(True):
        mdp = Tabular(5, 3).default_params().replace(gamma=jnp.asarray(0.9))
        rewards = jax.random.uniform(jax.random.key(0), (6, 4, 5, 3), jnp.float64)
        policies = jax.random.randint(jax.random.key(1), (6, 4, 5), 0, 3)
        values = evaluate(mdp.P[None], rewards, policies, 4, 0.9)
        table = time_indexed(mdp, 4)
        for R, policy, value in zip(rewards, policies, values, strict=True):
            exact = evaluate_policy(table.replace(R=R), np.asarray(policy))
            np.testing.assert_allclose(value, exact.v[0], rtol=0, atol=1e-12)


def test_a_shorter_horizon_is_the_plan_of_the_shorter_problem():
    mdp = Tabular(5, 3).default_params()
    rewards = jax.random.uniform(jax.random.key(0), (2, 4, 5, 3))
    long, long_values = plan(mdp.P[None], rewards, 2)
    short, short_values = plan(mdp.P[None], rewards[:, :2], 2)
    np.testing.assert_array_equal(long[:, :2], short)
    np.testing.assert_array_equal(long_values, short_values)


def test_values_are_capped_and_begin_from_those_at_the_end():
    def stage(h, V):
        return jnp.stack([V + 1, V], -1)

    index, V = backward(4, jnp.asarray(3), 2, 2, stage, 2.5, jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(V, [2.5, 2.5])
    np.testing.assert_allclose(index[2], [[1, 0], [2, 1]])
    np.testing.assert_array_equal(index[3], 0)


def test_rounding_does_not_decide_between_best_actions():
    one = jnp.float32(1)
    index = jnp.array([one, jnp.nextafter(one, 2 * one), 0.5])
    np.testing.assert_array_equal(best(index), [True, True, False])
    assert int(pick(index, jnp.array([0.9, 0.1, 1.0]))) == 0
    assert int(pick(index, jnp.array([0.1, 0.9, 1.0]))) == 1
