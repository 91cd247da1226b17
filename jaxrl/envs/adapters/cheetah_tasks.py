"""Four rewards of brax's halfcheetah, after url_benchmark's cheetah tasks, as functions of the successor.

    run clip(v / 10, 0, 1),   run_back clip(-v / 10, 0, 1)
    flip clip(w / 5, 0, 1),   flip_back clip(-w / 5, 0, 1)

v is the velocity of the torso along x in m/s and w its pitch rate in rad/s, entries 8 and 10 of the
observation; url_benchmark takes the angular momentum in place of w. Physics differ from MuJoCo's, so that
returns compare with no table of url_benchmark.
"""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp

from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.adapters.brax import Brax
from jaxrl.envs.wrappers.with_reward import WithReward, with_reward

VELOCITY = 8
"""Entry of the observation that is the torso's velocity along x, in m/s."""
_PITCH_RATE = 10
_FAST, _SPIN = 10.0, 5.0  # m/s and rad/s at which 1 is paid


def run(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], running forwards, 1 from 10 m/s on."""
    return jnp.clip(next_obs[VELOCITY] / _FAST, 0, 1)


def run_back(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], running backwards, 1 from 10 m/s on."""
    return jnp.clip(-next_obs[VELOCITY] / _FAST, 0, 1)


def flip(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], turning with positive pitch rate, 1 from 5 rad/s on."""
    return jnp.clip(next_obs[_PITCH_RATE] / _SPIN, 0, 1)


def flip_back(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], turning with negative pitch rate, 1 from 5 rad/s on."""
    return jnp.clip(-next_obs[_PITCH_RATE] / _SPIN, 0, 1)


TASKS = {"run": run, "run_back": run_back, "flip": flip, "flip_back": flip_back}
"""Rewards `(obs, action, next_obs) -> float[]` of one transition by task, for `jaxrl.data.relabel`."""


def paid(task: str) -> WithReward:
    """Brax's halfcheetah on the back-end `spring` with the reward of a task, to evaluate policies in.

    Raises `UsageError` for an unknown task.
    """
    if task not in TASKS:
        raise UsageError(f"task: {task!r} does not exist; {nearest(task, TASKS)}")
    return with_reward(Brax("halfcheetah", "spring"), partial(_reached, task))


def _reached(task: str, params: PyTree, state: PyTree, action: Array, after: PyTree) -> Array:
    # what brax observes of the body: all coordinates but its place along x, and all velocities
    obs = jnp.concatenate([after.q[1:], after.qd])
    return TASKS[task](obs, action, obs)
