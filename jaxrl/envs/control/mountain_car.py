"""Car in a valley, with discrete or continuous force, equal to gymnasium's dynamics by state injection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real


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
        """int32[], the largest number of steps of an episode."""
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
        """int32[], the largest number of steps of an episode."""
        return params.max_steps

    def reset(self, key: Key, params: MountainCarParams) -> tuple[MountainCarState, Array]:
        """The start of `MountainCar`."""
        return MountainCar().reset(key, params)

    def step(
        self, key: Key, state: MountainCarState, action: Array, params: MountainCarParams
    ) -> tuple[MountainCarState, Step]:
        """The dynamics of `MountainCar` with a graded force."""
        after = _drive(state, jnp.clip(action[0], -1.0, 1.0) * params.force, params)
        reward = self.reward(params, state, action, after)
        return after, Step(jnp.stack(after), reward, _at_goal(after, params), {})

    def reward(
        self, params: MountainCarParams, state: MountainCarState, action: Array, next_state: MountainCarState
    ) -> Array:
        """float[], see the class."""
        bonus = jnp.where(_at_goal(next_state, params), 100.0, 0.0)
        return (bonus - 0.1 * action[0] ** 2).astype(params.force.dtype)


def _drive(state: MountainCarState, push: Array, params: MountainCarParams) -> MountainCarState:
    velocity = state.velocity + push - params.gravity * jnp.cos(3 * state.position)
    velocity = jnp.clip(velocity, -params.max_speed, params.max_speed)
    position = jnp.clip(state.position + velocity, params.min_position, params.max_position)
    stopped = (position == params.min_position) & (velocity < 0)
    return MountainCarState(position, jnp.where(stopped, jnp.zeros_like(velocity), velocity))


def _at_goal(state: MountainCarState, params: MountainCarParams) -> Array:
    return (state.position >= params.goal_position) & (state.velocity >= params.goal_velocity)


ENVIRONMENTS = {
    "MountainCar": Entry(MountainCar, inert=("goal_velocity",)),
    "MountainCarContinuous": Entry(MountainCarContinuous, inert=("goal_velocity",)),
}
