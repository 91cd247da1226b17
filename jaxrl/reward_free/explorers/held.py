"""The control of deep exploration: uniform actions, each held for a number of steps.

How long random actions last decides how far they lead. An explorer of continuous control stands beside both
controls, actions drawn at every step (`jaxrl.data.collect.uniform`) and actions that are held.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp

from jaxrl.core.fields import Size, check_value
from jaxrl.core.spaces import sample
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.envs.base import Env

Memory = tuple[PyTree, Array]


@functools.lru_cache(maxsize=16)
def held(env: Env, steps: int) -> Policy:
    """Actions uniform over the action space, a new one every `steps` steps since the start of the episode.

    The memory is the present action and the number of steps so far, int32[]. The same function for equal
    environments and steps. Raises `UsageError` if `steps` is below 1.
    """
    check_value("steps", steps, Size)

    def act(key: Key, obs: PyTree, memory: Memory) -> tuple[PyTree, tuple[()], Memory]:
        action, age = memory
        action = jnp.where(age % steps == 0, sample(env.action_space, key), action)
        return action, (), (action, age + 1)

    space = env.action_space
    return Policy(act, (jnp.zeros(space.shape, space.dtype), jnp.zeros((), jnp.int32)))
