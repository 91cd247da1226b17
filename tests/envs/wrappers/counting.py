"""An environment that counts its steps, and how tests of wrappers play it."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box
from jaxrl.core.types import Step
from jaxrl.envs.base import integer, real

KEY = jax.random.key(0)


class CountParams(NamedTuple):
    end: jax.Array
    limit: jax.Array
    bonus: jax.Array


@dataclass(frozen=True)
class Count:
    """State counts steps; obs and reward are the new count (+ bonus); ends at `end`."""

    name: str = "Count"
    reward_dim: None = None
    observation_space = Box(0.0, 1e6, (1,))
    action_space = Box(-1.0, 2.0, (2, 2))

    def default_params(self):
        return CountParams(integer(1000), integer(10), real(0.0))

    def sample_params(self, key):
        return CountParams(integer(1000), integer(10), jax.random.uniform(key))

    def time_limit(self, params):
        return params.limit

    def item(self, params, state):
        return state

    def reset(self, key, params):
        return integer(0), jnp.zeros(1)

    def step(self, key, state, action, params):
        state = state + 1
        x = state.astype(jnp.float32)
        return state, Step(x[None], x + params.bonus, state >= params.end, {"action": action})


def play(env, steps, params=None, action=None):
    """`(first obs, [Step])` by jitted steps."""
    params = env.default_params() if params is None else params
    action = jnp.zeros((2, 2)) if action is None else action
    state, obs = jax.jit(env.reset)(KEY, params)
    step, outs = jax.jit(env.step), []
    for t in range(steps):
        state, out = step(jax.random.key(t), state, action, params)
        outs.append(jax.tree.map(np.asarray, out))
    return obs, outs
