"""Advantages by simulation, in environments that can be set to the state of a row and do not draw.

Legend: `n` rows, `k` observation features.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array, Policy, PyTree
from jaxrl.envs.base import Env
from jaxrl.envs.control.mountain_car import MountainCar, MountainCarState
from jaxrl.envs.control.pendulum import Pendulum, PendulumState


def simulated_advantage(
    env: Env, policy: Policy, states: PyTree, obs: Array, actions: Array, gamma: float, steps: int
) -> Array:
    """`[n]`, Q - V of a policy that does not draw, from `states` with observations `obs`, `[n, ...]` each.

    Both are discounted returns of `steps` steps in an environment that does not draw either.
    """
    params = env.default_params()

    def returned(state: PyTree, obs: Array, first: Array | None) -> Array:
        def advance(carry: tuple, t: Array) -> tuple[tuple, None]:
            state, obs, total, alive = carry
            action, _, _ = policy.act(jax.random.key(0), obs, policy.memory)
            action = action if first is None else jnp.where(t == 0, first, action)
            state, step = env.step(jax.random.key(0), state, action, params)
            total = total + alive * gamma**t * step.reward
            return (state, step.obs, total, alive * (1.0 - step.terminated)), None

        start = state, obs, jnp.zeros(()), jnp.ones(())
        return jax.lax.scan(advance, start, jnp.arange(steps))[0][2]

    taken = jax.vmap(returned)(states, obs, actions)
    return taken - jax.vmap(lambda s, o: returned(s, o, None))(states, obs)


def states_at(env: Env, obs: np.ndarray) -> PyTree | None:
    """States of the environment at observations `[n, k]`; None where they do not say all."""
    if isinstance(env, Pendulum):
        return PendulumState(jnp.asarray(np.arctan2(obs[:, 1], obs[:, 0])), jnp.asarray(obs[:, 2]))
    if isinstance(env, MountainCar):
        return MountainCarState(jnp.asarray(obs[:, 0]), jnp.asarray(obs[:, 1]))
    return None
