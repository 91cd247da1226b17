"""Exact values against the simulator: means of estimators, and of random actions with slips."""

import jax
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.types import Policy
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.rollout.unroll import start, unroll
from jaxrl.submodular.exact import policy_value, uniform_policy
from tests.submodular.sixteen_cells import problem


def test_simulated_estimators_have_the_exact_means():
    """200,000 episodes of the environment, gradients of uniform actions within 4 s.e."""
    env = coverage_grid((1.0, 2.0, 3.0, 4.0), 4, rows=2, cols=2, start=0, footprint="point")
    params = env.default_params()
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))
    n = 200_000

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, n)
        return unroll(env, policy, vec, k_run, params, length=3)[1]

    out = jax.tree.map(np.asarray, run(jax.random.key(0)))
    gain, cell = out.reward.astype(float), out.obs["obs"]
    prefix = 1 + np.cumsum(gain, axis=0)
    to_go = np.cumsum(gain[::-1], axis=0)[::-1]
    exact = {
        "to_go": (
            to_go,
            [-0.1648, 0.1552, 0.3392, -0.1648, -0.1648],
            [-0.1104, 0.1056, 0.2256, -0.1104, -0.1104],
        ),
        "marginal": (gain, [-0.2, 0.2, 0.4, -0.2, -0.2], [-0.12, 0.12, 0.24, -0.12, -0.12]),
        "prefix": (prefix, [-0.2, 0.2, 0.4, -0.2, -0.2], [-0.12, 0.12, 0.24, -0.12, -0.12]),
    }
    for weight, *rows in exact.values():
        for h, row in enumerate(rows):
            score = (np.eye(5)[out.action[h]] - 0.2) * (cell[h] == 0)[:, None]
            each = score * weight[h][:, None]
            # 30 coordinates: false alarm 2e-3, seed fixed
            assert np.all(np.abs(each.mean(0) - row) < 4 * each.std(0) / n**0.5)
    assert abs((1 + gain.sum(0)).mean() - 3.744) < 4 * gain.sum(0).std() / n**0.5


@pytest.mark.slow
def test_environment_equals_the_unfolded_problem():
    """Random actions in the simulator with slips against the exact value."""
    env, params, _, unfolded, _ = problem(slip=0.3)
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, 20_000)
        return unroll(env, policy, vec, k_run, params, length=5, keep=("F",))[1].info["F"][-1]

    value = np.asarray(run(jax.random.key(0)))
    expected = policy_value(uniform_policy(unfolded, 16), unfolded)
    assert abs(value.mean() - expected) < 4 * value.std() / 20_000**0.5
