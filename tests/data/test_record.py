"""unroll -> Dataset, against a loop over environments."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.types import Policy, Step
from jaxrl.data.record import from_unroll
from jaxrl.rollout.unroll import Freeze, Resample, start, unroll


@dataclass(frozen=True)
class Ladder:
    """Counts its steps; terminates at its height, 3 or 5 by a fair coin; obs is (height, steps)."""

    name: str = "Ladder"
    reward_dim: None = None

    def default_params(self):
        return jnp.asarray([3.0, 5.0])

    def reset(self, key, params):
        state = jnp.stack([params[jax.random.bernoulli(key).astype(int)], jnp.zeros(())])
        return state, state

    def step(self, key, state, action, params):
        state = state.at[1].add(1)
        return state, Step(state, state[1], state[1] >= state[0], {})


def policy_act(key, obs, memory):
    return jax.random.randint(key, (), 0, 2), (), memory


@pytest.fixture(scope="module")
def runs():
    env, policy = Ladder(), Policy(policy_act)
    params = env.default_params()
    vec = start(env, policy, jax.random.key(0), params, 3)

    def run(length, reset, vec, key):
        return jax.jit(lambda v, k: unroll(env, policy, v, k, params, length=length, limit=4, reset=reset))(
            vec, key
        )

    first = run(5, Resample(), vec, jax.random.key(1))
    second = run(9, Resample(), first[0], jax.random.key(2))
    return {
        "second": (second[1], first[0].elapsed),
        "frozen": run(8, Freeze(), vec, jax.random.key(3))[1],
    }


def test_rows_equal_a_loop(runs):
    transitions, elapsed = runs["second"]
    data = jax.jit(from_unroll)(transitions, elapsed)
    t, n = transitions.reward.shape
    assert np.asarray(elapsed).any()
    row, episode = 0, -1
    for env in range(n):
        step = int(elapsed[env])
        for i in range(t):
            if i == 0 or transitions.done[i - 1, env]:
                episode += 1
                step = step if i == 0 else 0
            expected = jax.tree.map(lambda x, i=i, env=env: x[i, env], transitions)
            np.testing.assert_array_equal(data.obs[row], expected.obs)
            np.testing.assert_array_equal(data.next_obs[row], expected.next_obs)
            assert (data.action[row], data.reward[row]) == (expected.action, expected.reward)
            assert data.terminated[row] == expected.terminated
            assert data.truncated[row] == (expected.truncated or (i == t - 1 and not expected.terminated))
            assert (data.episode[row], data.step[row]) == (episode, step)
            assert data.obs[row, 1] == step
            row, step = row + 1, step + 1
    assert data.size == row and data.mask is None


def test_frozen_rows_are_masked(runs):
    data = from_unroll(runs["frozen"], frozen=True)
    assert (np.bincount(data.episode) == 8).all()
    lengths = np.bincount(data.episode, weights=data.mask)
    heights = np.asarray(data.obs[::8, 0])
    np.testing.assert_array_equal(lengths, np.minimum(heights, 4))
    rows = data.sample(jax.random.key(0), 500)
    assert (rows.obs[:, 1] < 4).all() and (rows.reward > 0).all()
