"""Pendulum to swing up, equal to gymnasium's dynamics by state injection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real
from jaxrl.envs.control.acrobot import _wrap


class PendulumParams(NamedTuple):
    """SI units."""

    gravity: Array
    mass: Array
    length: Array
    dt: Array
    max_speed: Array
    max_torque: Array
    max_steps: Array


class PendulumState(NamedTuple):
    """State of the pendulum.

    theta: float[], rad from upright; theta_dot: float[], rad/s.
    """

    theta: Array
    theta_dot: Array


@dataclass(frozen=True)
class Pendulum:
    """Swing up and hold a pendulum by a bounded torque (gymnasium Pendulum-v1).

    Observation: float[3], cos theta, sin theta, theta_dot. Action: float[1] torque, clipped to +-2. Reward:
    -(theta^2 + 0.1 theta_dot^2 + 0.001 torque^2) of the state before the step, theta wrapped to +-pi.
    Termination: never. Time limit: 200.
    """

    name: str = "Pendulum"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """Unit circle and speed."""
        return Box((-1.0, -1.0, -8.0), (1.0, 1.0, 8.0), (3,))

    @property
    def action_space(self) -> Box:
        """Torque."""
        return Box(-2.0, 2.0, (1,))

    def default_params(self) -> PendulumParams:
        """Pendulum-v1."""
        return PendulumParams(*map(real, (10.0, 1.0, 1.0, 0.05, 8.0, 2.0)), max_steps=integer(200))

    def time_limit(self, params: PendulumParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.max_steps

    def reset(self, key: Key, params: PendulumParams) -> tuple[PendulumState, Array]:
        """Any angle, speed uniform in [-1, 1]."""
        u = jax.random.uniform(key, (2,), params.gravity.dtype, -1.0, 1.0)
        state = PendulumState(jnp.pi * u[0], u[1])
        return state, self._obs(state)

    def step(
        self, key: Key, state: PendulumState, action: Array, params: PendulumParams
    ) -> tuple[PendulumState, Step]:
        """One semi-implicit Euler step of `dt` seconds."""
        torque = jnp.clip(action[0], -params.max_torque, params.max_torque)
        acceleration = 3 * params.gravity / (2 * params.length) * jnp.sin(state.theta)
        acceleration += 3.0 / (params.mass * params.length**2) * torque
        speed = state.theta_dot + acceleration * params.dt
        speed = jnp.clip(speed, -params.max_speed, params.max_speed)
        after = PendulumState(state.theta + speed * params.dt, speed)
        reward = self.reward(params, state, action, after)
        return after, Step(self._obs(after), reward, jnp.asarray(False), {})

    def reward(
        self, params: PendulumParams, state: PendulumState, action: Array, next_state: PendulumState
    ) -> Array:
        """float[], see the class."""
        torque = jnp.clip(action[0], -params.max_torque, params.max_torque)
        return -(_wrap(state.theta) ** 2 + 0.1 * state.theta_dot**2 + 0.001 * torque**2)

    def _obs(self, state: PendulumState) -> Array:
        return jnp.stack([jnp.cos(state.theta), jnp.sin(state.theta), state.theta_dot])


ENVIRONMENTS = {
    "Pendulum": Entry(Pendulum),
}
