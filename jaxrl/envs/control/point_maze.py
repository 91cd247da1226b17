"""A ball with a force on each axis in an arena with a cross of walls: ExORL's point_mass_maze (2201.13425).

    v <- v + dt / (m + dt c) (gear u - c v),   x <- x + dt v        (free motion, as MuJoCo 3 integrates it)

Contacts are not those of MuJoCo, which are soft: an axis whose move would enter a wall keeps its position and
loses its velocity, first x at the old y, then y at the new x. The centre of the ball may not enter the walls
grown by its radius, with square corners.

Legend: `u` action, `m` mass, `c` damping.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.fields import check_fields
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

TARGETS = {
    "top_left": (-0.15, 0.15),
    "top_right": (0.15, 0.15),
    "bottom_left": (-0.15, -0.15),
    "bottom_right": (0.15, -0.15),
}
"""Position in m that each task pays for."""
_REACH = 0.015  # radius of the target, and distance from its rim at which 0.1 is paid, m
_CELLS = 20  # of the grid of `item`, per axis


class PointMazeParams(NamedTuple):
    """Parameters of `PointMaze`; lengths in m.

    target: float[2]; dt: float[], s per step; mass: float[], kg; gear: float[], N per unit of action;
    damping: float[], N s/m; wall: float[], distance of the outer walls from the centre; arm: float[2], half
    length and half width of the cross; radius: float[], of the ball; start: float[2], least distance
    from the centre at which an episode starts, to the left and upwards; limit: int32[], steps.
    """

    target: Array
    dt: Array
    mass: Array
    gear: Array
    damping: Array
    wall: Array
    arm: Array
    radius: Array
    start: Array
    limit: Array


class PointMazeState(NamedTuple):
    """State of the ball.

    position: float[2], m; velocity: float[2], m/s.
    """

    position: Array
    velocity: Array


@dataclass(frozen=True)
class PointMaze:
    """Steer the ball to the target and hold it there with little force.

    Observation: float[4], position and velocity. Action: float[2], clipped to +-1. Reward: `target_reward` of
    the action and of the state after the step, in [0, 1]. Termination: never. Time limit: 1000. Start: at
    rest, uniform in the upper left corner.
    """

    task: Literal["top_left", "top_right", "bottom_left", "bottom_right"] = "bottom_right"
    """Which of `TARGETS` the default parameters pay for; the start lies in the upper left."""
    name: str = "PointMaze"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def observation_space(self) -> Box:
        """Position inside the outer walls, and velocity, at most that of full force for ever."""
        return Box((-0.3, -0.3, -0.1, -0.1), (0.3, 0.3, 0.1, 0.1), (4,))

    @property
    def action_space(self) -> Box:
        """Force on each axis."""
        return Box(-1.0, 1.0, (2,))

    def default_params(self) -> PointMazeParams:
        """Constants of ExORL's model."""
        dt, mass, gear, damping, wall, radius = map(real, (0.02, 0.3, 0.1, 1.0, 0.3, 0.01))
        target, arm, start = (
            jnp.asarray(x, dt.dtype) for x in (TARGETS[self.task], (0.18, 0.02), (0.15, 0.15))
        )
        return PointMazeParams(target, dt, mass, gear, damping, wall, arm, radius, start, integer(1000))

    def time_limit(self, params: PointMazeParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: PointMazeParams) -> tuple[PointMazeState, Array]:
        """The ball at rest, each coordinate between `start` and the outer wall."""
        u = jax.random.uniform(key, (2,), params.dt.dtype)
        distance = params.start + u * (params.wall - params.radius - params.start)
        state = PointMazeState(distance * jnp.asarray((-1, 1), u.dtype), jnp.zeros_like(u))
        return state, jnp.concatenate(state)

    def step(
        self, key: Key, state: PointMazeState, action: Array, params: PointMazeParams
    ) -> tuple[PointMazeState, Step]:
        """One step of `dt` seconds with implicit damping; walls stop each axis by itself."""
        force = params.gear * jnp.clip(action, -1.0, 1.0)
        inertia = params.mass + params.dt * params.damping
        velocity = state.velocity + params.dt / inertia * (force - params.damping * state.velocity)
        moved = state.position + params.dt * velocity
        x = jnp.stack([moved[0], state.position[1]])
        stop_x = blocked(x, params)
        x = jnp.where(stop_x, state.position, x)
        y = jnp.stack([x[0], moved[1]])
        stop_y = blocked(y, params)
        after = PointMazeState(jnp.where(stop_y, x, y), jnp.where(jnp.stack([stop_x, stop_y]), 0, velocity))
        reward = self.reward(params, state, action, after)
        return after, Step(jnp.concatenate(after), reward, jnp.asarray(False), {})

    def reward(
        self, params: PointMazeParams, state: PointMazeState, action: Array, next_state: PointMazeState
    ) -> Array:
        """float[], see the class."""
        return target_reward(params.target, None, action, jnp.concatenate(next_state))

    def item(self, params: PointMazeParams, state: PointMazeState) -> Array:
        """int32[], the cell of a 20 x 20 grid over the positions that the centre can have."""
        return cell_of(jnp.concatenate(state))


def cell_of(obs: Array) -> Array:
    """int32[...], the cell of observations float[..., 4] in a 20 x 20 grid over +-0.29 m on both axes."""
    index = jnp.floor((obs[..., :2] + 0.29) / 0.58 * _CELLS)
    index = jnp.clip(index, 0, _CELLS - 1).astype(jnp.int32)
    return _CELLS * index[..., 0] + index[..., 1]


def target_reward(target: Array, obs: Array | None, action: Array, next_obs: Array) -> Array:
    """The reward of one transition, float[]: near (4 + saved) / 5.

    Near is 1 within 0.015 m of `target` float[2] and a Gaussian of the distance from there on, 0.1 after
    another 0.015 m; saved is the mean of 1 - u^2. Source: reach tasks of url_benchmark's custom_dmc_tasks.
    """
    square = jnp.sum(jnp.square(next_obs[:2] - target))
    distance = jnp.sqrt(jnp.where(square > 0, square, 1)) * (square > 0)
    near = jnp.asarray(0.1, square.dtype) ** jnp.square(jnp.maximum(distance / _REACH - 1, 0))
    saved = 1 - jnp.mean(jnp.square(jnp.clip(action, -1.0, 1.0)))
    return near * (4 + saved) / 5


def task_reward(task: str) -> Callable[[Array, Array, Array], Array]:
    """The reward of a name of `TARGETS`, a function of (obs, action, next_obs) for `relabel`."""
    return partial(_named_reward, TARGETS[task])


def _named_reward(target: tuple[float, float], obs: Array, action: Array, next_obs: Array) -> Array:
    return target_reward(jnp.asarray(target, next_obs.dtype), obs, action, next_obs)


def blocked(position: Array, params: PointMazeParams) -> Array:
    """bool[], whether the ball's centre may not be at `position` float[2]."""
    away = jnp.abs(position)
    grown = params.arm + params.radius
    outside = jnp.any(away > params.wall - params.radius)
    return outside | jnp.all(away < grown) | jnp.all(away < grown[::-1])


ENVIRONMENTS = {
    f"PointMaze-{task.replace('_', '-')}": Entry(partial(PointMaze, task), inert=("target",))
    for task in TARGETS
}
