"""Classic control, equal to gymnasium's dynamics by state injection.

Bounds of spaces are those of the default parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

INF = float("inf")


class CartPoleParams(NamedTuple):
    """SI units; angles in radians."""

    gravity: Array
    masscart: Array
    masspole: Array
    length: Array  # half of the pole
    force_mag: Array
    tau: Array
    theta_threshold: Array
    x_threshold: Array
    max_steps: Array

    @property
    def total_mass(self) -> Array:
        """Cart and pole."""
        return self.masscart + self.masspole

    @property
    def polemass_length(self) -> Array:
        """First moment of the pole."""
        return self.masspole * self.length


class CartPoleState(NamedTuple):
    """All float[]: m, m/s, rad, rad/s."""

    x: Array
    x_dot: Array
    theta: Array
    theta_dot: Array


@dataclass(frozen=True)
class CartPole:
    """Balance a pole on a cart (Barto, Sutton, Anderson 1983; gymnasium CartPole-v1).

    Observation: float[4], x, x_dot, theta, theta_dot. Action: 0 push left, 1 push right. Reward: 1 per step,
    the last included. Termination: |x| > 2.4 or |theta| > 12 degrees. Time limit: 500.
    """

    name: str = "CartPole"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """Positions within twice the thresholds, velocities unbounded."""
        high = (4.8, INF, 0.42, INF)
        return Box(tuple(-h for h in high), high, (4,))

    @property
    def action_space(self) -> Discrete:
        """Left, right."""
        return Discrete(2)

    def default_params(self) -> CartPoleParams:
        """CartPole-v1."""
        values = (9.8, 1.0, 0.1, 0.5, 10.0, 0.02, 12 * 2 * jnp.pi / 360, 2.4)
        return CartPoleParams(*map(real, values), max_steps=integer(500))

    def time_limit(self, params: CartPoleParams) -> Array:
        """int32[]."""
        return params.max_steps

    def reset(self, key: Key, params: CartPoleParams) -> tuple[CartPoleState, Array]:
        """Uniform in [-0.05, 0.05]^4."""
        values = jax.random.uniform(key, (4,), params.gravity.dtype, -0.05, 0.05)
        return CartPoleState(*values), values

    def step(
        self, key: Key, state: CartPoleState, action: Array, params: CartPoleParams
    ) -> tuple[CartPoleState, Step]:
        """One Euler step of `tau` seconds."""
        x, x_dot, theta, theta_dot = state
        force = jnp.where(action == 1, params.force_mag, -params.force_mag)
        cos, sin = jnp.cos(theta), jnp.sin(theta)
        temp = (force + params.polemass_length * theta_dot**2 * sin) / params.total_mass
        theta_acc = (params.gravity * sin - cos * temp) / (
            params.length * (4.0 / 3.0 - params.masspole * cos**2 / params.total_mass)
        )
        x_acc = temp - params.polemass_length * theta_acc * cos / params.total_mass
        after = CartPoleState(
            x + params.tau * x_dot,
            x_dot + params.tau * x_acc,
            theta + params.tau * theta_dot,
            theta_dot + params.tau * theta_acc,
        )
        terminated = (jnp.abs(after.x) > params.x_threshold) | (jnp.abs(after.theta) > params.theta_threshold)
        return after, Step(jnp.stack(after), self.reward(params, state, action, after), terminated, {})

    def reward(
        self, params: CartPoleParams, state: CartPoleState, action: Array, next_state: CartPoleState
    ) -> Array:
        """float[], 1."""
        return jnp.ones((), params.gravity.dtype)


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
    """theta: float[], rad from upright; theta_dot: float[], rad/s."""

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
        """int32[]."""
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


class MountainCarParams(NamedTuple):
    """Positions in length units, speeds in length units per step."""

    force: Array
    gravity: Array
    min_position: Array
    max_position: Array
    max_speed: Array
    goal_position: Array
    goal_velocity: Array
    max_steps: Array


class MountainCarState(NamedTuple):
    """Both float[]."""

    position: Array
    velocity: Array


@dataclass(frozen=True)
class MountainCar:
    """Leave a valley with a weak engine (Moore 1990; gymnasium MountainCar-v0).

    Observation: float[2], position, velocity. Action: 0 push left, 1 nothing, 2 push right. Reward: -1 per
    step. Termination: position >= 0.5 with velocity >= 0. Time limit: 200.
    """

    name: str = "MountainCar"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """The valley."""
        return Box((-1.2, -0.07), (0.6, 0.07), (2,))

    @property
    def action_space(self) -> Discrete:
        """Left, nothing, right."""
        return Discrete(3)

    def default_params(self) -> MountainCarParams:
        """MountainCar-v0."""
        values = (0.001, 0.0025, -1.2, 0.6, 0.07, 0.5, 0.0)
        return MountainCarParams(*map(real, values), max_steps=integer(200))

    def time_limit(self, params: MountainCarParams) -> Array:
        """int32[]."""
        return params.max_steps

    def reset(self, key: Key, params: MountainCarParams) -> tuple[MountainCarState, Array]:
        """Position uniform in [-0.6, -0.4], at rest."""
        position = jax.random.uniform(key, (), params.force.dtype, -0.6, -0.4)
        state = MountainCarState(position, jnp.zeros_like(position))
        return state, jnp.stack(state)

    def step(
        self, key: Key, state: MountainCarState, action: Array, params: MountainCarParams
    ) -> tuple[MountainCarState, Step]:
        """Velocity, then position; the left wall stops the car."""
        after = _drive(state, (action - 1) * params.force, params)
        reward = self.reward(params, state, action, after)
        return after, Step(jnp.stack(after), reward, _at_goal(after, params), {})

    def reward(
        self, params: MountainCarParams, state: MountainCarState, action: Array, next_state: MountainCarState
    ) -> Array:
        """float[], -1."""
        return jnp.full((), -1.0, params.force.dtype)


@dataclass(frozen=True)
class MountainCarContinuous:
    """Mountain car with a continuous engine (gymnasium MountainCarContinuous-v0).

    Observation: float[2], position, velocity. Action: float[1], clipped to +-1. Reward: 100 on reaching the
    goal, minus 0.1 action^2 (not clipped). Termination: position >= 0.45 with velocity >= 0. Time limit: 999.
    """

    name: str = "MountainCarContinuous"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """The valley."""
        return Box((-1.2, -0.07), (0.6, 0.07), (2,))

    @property
    def action_space(self) -> Box:
        """Force, in units of the engine's."""
        return Box(-1.0, 1.0, (1,))

    def default_params(self) -> MountainCarParams:
        """MountainCarContinuous-v0."""
        values = (0.0015, 0.0025, -1.2, 0.6, 0.07, 0.45, 0.0)
        return MountainCarParams(*map(real, values), max_steps=integer(999))

    def time_limit(self, params: MountainCarParams) -> Array:
        """int32[]."""
        return params.max_steps

    def reset(self, key: Key, params: MountainCarParams) -> tuple[MountainCarState, Array]:
        """As `MountainCar`."""
        return MountainCar().reset(key, params)

    def step(
        self, key: Key, state: MountainCarState, action: Array, params: MountainCarParams
    ) -> tuple[MountainCarState, Step]:
        """As `MountainCar`, with a graded force."""
        after = _drive(state, jnp.clip(action[0], -1.0, 1.0) * params.force, params)
        reward = self.reward(params, state, action, after)
        return after, Step(jnp.stack(after), reward, _at_goal(after, params), {})

    def reward(
        self, params: MountainCarParams, state: MountainCarState, action: Array, next_state: MountainCarState
    ) -> Array:
        """float[], see the class."""
        bonus = jnp.where(_at_goal(next_state, params), 100.0, 0.0)
        return (bonus - 0.1 * action[0] ** 2).astype(params.force.dtype)


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
        """int32[]."""
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


def _drive(state: MountainCarState, push: Array, params: MountainCarParams) -> MountainCarState:
    velocity = state.velocity + push - params.gravity * jnp.cos(3 * state.position)
    velocity = jnp.clip(velocity, -params.max_speed, params.max_speed)
    position = jnp.clip(state.position + velocity, params.min_position, params.max_position)
    stopped = (position == params.min_position) & (velocity < 0)
    return MountainCarState(position, jnp.where(stopped, jnp.zeros_like(velocity), velocity))


def _at_goal(state: MountainCarState, params: MountainCarParams) -> Array:
    return (state.position >= params.goal_position) & (state.velocity >= params.goal_velocity)


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
    "CartPole": Entry(CartPole),
    "Pendulum": Entry(Pendulum),
    "MountainCar": Entry(MountainCar, inert=("goal_velocity",)),
    "MountainCarContinuous": Entry(MountainCarContinuous, inert=("goal_velocity",)),
    "Acrobot": Entry(Acrobot),
    "Acrobot-raw": Entry(partial(Acrobot, raw=True)),
}
