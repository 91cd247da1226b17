"""An automated guided vehicle that is driven around shelves to a goal, the only place that pays.

    theta <- theta + dt turn a_2,    p <- p + dt speed a_1 (cos theta, sin theta)       (kinematic unicycle)

The vehicle is a disc. A move after which it would overlap a shelf or leave the hall is not made, and the
heading turns all the same. The shelves have to be thicker than a move is long.

Legend: `p` position, `theta` heading, `n` shelves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import check_fields
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

_PIXELS = 120
_FLOOR, _SHELF, _GOAL, _VEHICLE, _NOSE = (
    (250, 250, 245),
    (110, 85, 60),
    (40, 160, 80),
    (200, 50, 50),
    (70, 75, 85),
)
_NOSE_SIZE = 0.5  # of the radius of the vehicle
_SHELVES = ((3.5, 3.5, 3.5, 0.25), (6.5, 6.5, 3.5, 0.25))


class AgvParams(NamedTuple):
    """Parameters of `Agv`; lengths in m.

    size: float[], side of the square hall, whose lower left corner is the origin; shelves: float[n, 4],
    centre x, centre y, half width and half depth each; goal: float[2], and reach: float[], distance from
    it that counts as arrival; start: float[2], and spread: float[], largest distance of each coordinate from
    it at the start; radius: float[], of the vehicle; speed: float[], m/s; turn: float[], rad/s;
    dt: float[], s per step; limit: int32[], steps.
    """

    size: Array
    shelves: Array
    goal: Array
    reach: Array
    start: Array
    spread: Array
    radius: Array
    speed: Array
    turn: Array
    dt: Array
    limit: Array


class AgvState(NamedTuple):
    """State of the vehicle.

    position: float[2], m; heading: float[], rad, in [-pi, pi).
    """

    position: Array
    heading: Array


@dataclass(frozen=True)
class Agv:
    """Drive around one or two shelves, each open at one end, to the goal in the opposite corner.

    Observation: float[4], position from -1 to 1 over the hall, cosine and sine of the heading. Action:
    float[2], speed (negative: backwards) and turning rate in units of the largest, clipped to +-1. Reward: 1
    on arrival, else 0. Termination: arrival. Time limit: 200. Start: lower left, any heading. `info["goal"]`
    is 1 on arrival, else 0.
    """

    shelves: Literal[1, 2] = 1
    """Number of shelves. The way to the goal is about 13 m around one and 20 m around two."""
    name: str = "AGV"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def observation_space(self) -> Box:
        """Position, cosine and sine of the heading."""
        return Box(-1.0, 1.0, (4,))

    @property
    def action_space(self) -> Box:
        """Speed and turning rate."""
        return Box(-1.0, 1.0, (2,))

    def default_params(self) -> AgvParams:
        """A hall of 10 m, shelves of 7 m, steps of at most 0.5 m."""
        numbers = {"reach": 0.7, "spread": 0.3, "radius": 0.3, "speed": 1.0, "turn": 1.0, "dt": 0.5}
        dtype = jnp.result_type(float)
        return AgvParams(
            size=real(10.0),
            shelves=jnp.asarray(_SHELVES[: self.shelves], dtype),
            goal=jnp.asarray((9.0, 9.0), dtype),
            start=jnp.asarray((1.0, 1.0), dtype),
            limit=integer(200),
            **{name: real(value) for name, value in numbers.items()},
        )

    def time_limit(self, params: AgvParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: AgvParams) -> tuple[AgvState, Array]:
        """A position near `start`, uniform in a square, and any heading."""
        u = jax.random.uniform(key, (3,), params.dt.dtype, -1, 1)
        state = AgvState(params.start + params.spread * u[:2], jnp.pi * u[2])
        return state, _obs(state, params)

    def step(self, key: Key, state: AgvState, action: Array, params: AgvParams) -> tuple[AgvState, Step]:
        """Turn, then move in the new direction unless something is in the way; `key` is not used."""
        drive, steer = jnp.clip(action, -1.0, 1.0)
        heading = state.heading + params.dt * params.turn * steer
        heading = jnp.mod(heading + jnp.pi, 2 * jnp.pi) - jnp.pi
        ahead = jnp.stack([jnp.cos(heading), jnp.sin(heading)])
        moved = state.position + params.dt * params.speed * drive * ahead
        after = AgvState(jnp.where(blocked(moved, params), state.position, moved), heading)
        reward = self.reward(params, state, action, after)
        return after, Step(_obs(after, params), reward, reward > 0, {"goal": reward})

    def reward(self, params: AgvParams, state: AgvState, action: Array, next_state: AgvState) -> Array:
        """float[], 1 within `reach` of the goal, else 0."""
        return (_distance(next_state.position, params.goal) < params.reach).astype(params.dt.dtype)

    def render(self, state: AgvState, params: AgvParams) -> Array:
        """uint8[120, 120, 3], the hall with shelves, goal and vehicle, whose nose is dark; x right, y up."""
        axis = (np.arange(_PIXELS) + 0.5) / _PIXELS
        point = params.size * jnp.asarray(np.stack(np.meshgrid(axis, axis[::-1]), -1), params.dt.dtype)
        nose = state.position + params.radius * jnp.stack([jnp.cos(state.heading), jnp.sin(state.heading)])

        def kind(p: Array) -> Array:
            shown = jnp.where(_to_shelves(p, params).min() <= 0, 1, 0)
            shown = jnp.where(_distance(p, params.goal) < params.reach, 2, shown)
            shown = jnp.where(_distance(p, state.position) < params.radius, 3, shown)
            return jnp.where(_distance(p, nose) < _NOSE_SIZE * params.radius, 4, shown)

        colours = jnp.asarray((_FLOOR, _SHELF, _GOAL, _VEHICLE, _NOSE), jnp.uint8)
        return colours[jax.vmap(jax.vmap(kind))(point)]


def blocked(position: Array, params: AgvParams) -> Array:
    """bool[], whether the vehicle at `position` float[2] overlaps a shelf or leaves the hall."""
    middle = params.size / 2
    outside = jnp.any(jnp.abs(position - middle) > middle - params.radius)
    return outside | jnp.any(_to_shelves(position, params) < params.radius)


def _to_shelves(position: Array, params: AgvParams) -> Array:
    """float[n], distances in m of `position` float[2] from the shelves, 0 inside."""
    centre, half = params.shelves[:, :2], params.shelves[:, 2:]
    beyond = jnp.maximum(jnp.abs(position[None] - centre) - half, 0)
    return jnp.sqrt(jnp.square(beyond).sum(-1))


def _distance(a: Array, b: Array) -> Array:
    return jnp.sqrt(jnp.square(a - b).sum())


def _obs(state: AgvState, params: AgvParams) -> Array:
    ahead = jnp.stack([jnp.cos(state.heading), jnp.sin(state.heading)])
    return jnp.concatenate([2 * state.position / params.size - 1, ahead])


ENVIRONMENTS = {
    name: Entry(partial(Agv, shelves), inert=("goal", "reach"))
    for name, shelves in (("AGV", 1), ("AGV-two-shelves", 2))
}
