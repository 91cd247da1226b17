"""Four rewards of brax's halfcheetah, after url_benchmark's cheetah tasks, as functions of the successor.

    run clip(v / 10, 0, 1),   run_back clip(-v / 10, 0, 1)
    flip clip(w / 5, 0, 1),   flip_back clip(-w / 5, 0, 1)

v is the velocity of the torso along x in m/s and w its pitch rate in rad/s, entries 8 and 10 of the
observation; url_benchmark takes the angular momentum in place of w. Physics differ from MuJoCo's, so that
returns compare with no table of url_benchmark.
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxrl.core.types import Array

_VELOCITY, _PITCH_RATE = 8, 10
_FAST, _SPIN = 10.0, 5.0  # m/s and rad/s at which 1 is paid


def run(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], running forwards, 1 from 10 m/s on."""
    return jnp.clip(next_obs[_VELOCITY] / _FAST, 0, 1)


def run_back(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], running backwards, 1 from 10 m/s on."""
    return jnp.clip(-next_obs[_VELOCITY] / _FAST, 0, 1)


def flip(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], turning with positive pitch rate, 1 from 5 rad/s on."""
    return jnp.clip(next_obs[_PITCH_RATE] / _SPIN, 0, 1)


def flip_back(obs: Array, action: Array, next_obs: Array) -> Array:
    """float[], turning with negative pitch rate, 1 from 5 rad/s on."""
    return jnp.clip(-next_obs[_PITCH_RATE] / _SPIN, 0, 1)


TASKS = {"run": run, "run_back": run_back, "flip": flip, "flip_back": flip_back}
"""Rewards `(obs, action, next_obs) -> float[]` of one transition by task, for `jaxrl.data.relabel`."""
