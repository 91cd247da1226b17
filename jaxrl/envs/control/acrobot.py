"""Double pendulum driven at the second joint, equal to gymnasium's dynamics by state injection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real


class AcrobotParams(NamedTuple):
    """SI units. torque: of the outer actions; moment: of inertia of both links."""

    gravity: Array
    mass_1: Array
    mass_2: Array
    length_1: Array
    com_1: Array
    com_2: Array
    moment: Array
    torque: Array
    dt: Array
    max_speed_1: Array
    max_speed_2: Array
    max_steps: Array


class AcrobotState(NamedTuple):
    """Angles in rad, speeds in rad/s; theta_1 from hanging down, theta_2 relative to the first link."""

    theta_1: Array
    theta_2: Array
    speed_1: Array
    speed_2: Array


@dataclass(frozen=True)
class Acrobot:
    """Swing the tip of a two-link arm above the bar (Sutton 1996, dynamics of Sutton and Barto's book;
    gymnasium Acrobot-v1).

    Observation: float[6], cos and sin of both angles and the speeds; with `raw` float[4], the wrapped angles
    and the speeds (Acrobot-v0 of old). Action: torque -1, 0, 1 on the joint. Reward: -1 per step, 0 on the
    last. Termination: -cos theta_1 - cos(theta_1 + theta_2) > 1. Time limit: 500.
    """

    raw: bool = False
    name: str = "Acrobot"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """Speeds up to 4 pi and 9 pi."""
        speeds = (float(4 * jnp.pi), float(9 * jnp.pi))
        high = (float(jnp.pi),) * 2 + speeds if self.raw else (1.0,) * 4 + speeds
        return Box(tuple(-h for h in high), high, (len(high),))

    @property
    def action_space(self) -> Discrete:
        """Negative, no and positive torque."""
        return Discrete(3)

    def default_params(self) -> AcrobotParams:
        """Acrobot-v1."""
        values = (9.8, 1.0, 1.0, 1.0, 0.5, 0.5, 1.0, 1.0, 0.2, 4 * jnp.pi, 9 * jnp.pi)
        return AcrobotParams(*map(real, values), max_steps=integer(500))

    def time_limit(self, params: AcrobotParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.max_steps

    def reset(self, key: Key, params: AcrobotParams) -> tuple[AcrobotState, Array]:
        """Uniform in [-0.1, 0.1]^4."""
        state = AcrobotState(*jax.random.uniform(key, (4,), params.gravity.dtype, -0.1, 0.1))
        return state, self._obs(state)

    def step(
        self, key: Key, state: AcrobotState, action: Array, params: AcrobotParams
    ) -> tuple[AcrobotState, Step]:
        """One Runge-Kutta step of order 4, then wrapped angles and clipped speeds."""
        torque = (action - 1) * params.torque
        y, dt = jnp.stack(state), params.dt
        k1 = _acrobot_slope(y, torque, params)
        k2 = _acrobot_slope(y + dt / 2 * k1, torque, params)
        k3 = _acrobot_slope(y + dt / 2 * k2, torque, params)
        k4 = _acrobot_slope(y + dt * k3, torque, params)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        after = AcrobotState(
            _wrap(y[0]),
            _wrap(y[1]),
            jnp.clip(y[2], -params.max_speed_1, params.max_speed_1),
            jnp.clip(y[3], -params.max_speed_2, params.max_speed_2),
        )
        reward = self.reward(params, state, action, after)
        return after, Step(self._obs(after), reward, _above_bar(after), {})

    def reward(
        self, params: AcrobotParams, state: AcrobotState, action: Array, next_state: AcrobotState
    ) -> Array:
        """float[], see the class."""
        return jnp.where(_above_bar(next_state), 0.0, -1.0).astype(params.gravity.dtype)

    def _obs(self, state: AcrobotState) -> Array:
        if self.raw:
            return jnp.stack(state)
        one, two = state.theta_1, state.theta_2
        return jnp.stack([jnp.cos(one), jnp.sin(one), jnp.cos(two), jnp.sin(two), *state[2:]])


def _wrap(angle: Array) -> Array:
    """Into [-pi, pi)."""
    return jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi


def _above_bar(state: AcrobotState) -> Array:
    return -jnp.cos(state.theta_1) - jnp.cos(state.theta_1 + state.theta_2) > 1.0


def _acrobot_slope(y: Array, torque: Array, p: AcrobotParams) -> Array:
    """d/dt of `(theta_1, theta_2, speed_1, speed_2)`, float[4]."""
    theta_1, theta_2, speed_1, speed_2 = y
    cos_2, sin_2 = jnp.cos(theta_2), jnp.sin(theta_2)
    coupling = p.mass_2 * p.length_1 * p.com_2
    inertia_2 = p.mass_2 * p.com_2**2 + p.moment
    d1 = p.mass_1 * p.com_1**2 + p.mass_2 * p.length_1**2 + 2 * coupling * cos_2 + inertia_2 + p.moment
    d2 = inertia_2 + coupling * cos_2
    phi_2 = p.mass_2 * p.com_2 * p.gravity * jnp.sin(theta_1 + theta_2)
    phi_1 = (
        -coupling * sin_2 * (speed_2**2 + 2 * speed_2 * speed_1)
        + (p.mass_1 * p.com_1 + p.mass_2 * p.length_1) * p.gravity * jnp.sin(theta_1)
        + phi_2
    )
    acc_2 = (torque + d2 / d1 * phi_1 - coupling * speed_1**2 * sin_2 - phi_2) / (inertia_2 - d2**2 / d1)
    acc_1 = -(d2 * acc_2 + phi_1) / d1
    return jnp.stack([speed_1, speed_2, acc_1, acc_2])


ENVIRONMENTS = {
    "Acrobot": Entry(Acrobot),
    "Acrobot-raw": Entry(partial(Acrobot, raw=True)),
}
