"""Four-Room: items of three types in a maze of four rooms, with one reward component per type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.grids.moves import draw_agent, is_inside

SIDE = 13
_START, _GOAL = (12, 0), (0, 12)
_MOVES = np.array([(0, -1), (-1, 0), (0, 1), (1, 0)], np.int32)  # left, up, right, down
_WALL_ROWS, _WALL_COLS = (0, 1, 4, 5, 7, 8, 11, 12), (0, 1, 4, 5, 6, 7, 8, 11, 12)
# cells of the items, column by column, and their types; four of them lie in doorways
_ITEMS = (
    ((0, 0), 0), ((5, 0), 1), ((6, 2), 2), ((0, 5), 1), ((5, 5), 2), ((2, 6), 0),
    ((10, 6), 1), ((7, 7), 1), ((12, 7), 2), ((6, 10), 0), ((7, 12), 2), ((12, 12), 0),
)  # fmt: skip
_TYPE = np.eye(3)[[kind for _, kind in _ITEMS]]  # [12, 3]
_FLOOR, _WALL, _HOME = (235, 235, 230), (70, 75, 85), (150, 80, 190)
_COLOURS = ((40, 100, 220), (40, 160, 80), (240, 170, 30))


def _maze() -> tuple[np.ndarray, np.ndarray]:
    """Walls bool[13, 13], and the item of each cell int32[13, 13], 12 where there is none."""
    walls, item = np.zeros((SIDE, SIDE), bool), np.full((SIDE, SIDE), len(_ITEMS), np.int32)
    walls[_WALL_ROWS, 6] = walls[6, _WALL_COLS] = True
    for i, (cell, _) in enumerate(_ITEMS):
        item[cell] = i
    return walls, item


class RoomParams(NamedTuple):
    """Parameters of `FourRoom`.

    item: float[3], what an item of each type pays; goal: float[3], what the goal pays; limit: int32[].
    """

    item: Array
    goal: Array
    limit: Array


class RoomState(NamedTuple):
    """Position of the agent, and what it has collected.

    row, col: int32[]; collected: int32[12], 0 or 1.
    """

    row: Array
    col: Array
    collected: Array


@dataclass(frozen=True)
class FourRoom:
    """Collect items on the way to the goal (Barreto et al. 2017; mo-gymnasium four-room-v0).

    Observation: int32[14], row and column of a 13 x 13 maze, which of the 12 items are collected. Action:
    left, up, right, down; moves off the map or into walls stay. Reward: float[3], 1 on the type of an item
    entered for the first time, (1, 1, 1) at the goal. Termination: at the goal. Time limit: 200.
    """

    name: str = "FourRoom"
    reward_dim: int = 3

    @property
    def observation_space(self) -> Box:
        """Row, column, and which items are collected."""
        return Box(0, (SIDE - 1, SIDE - 1, *(1,) * len(_ITEMS)), (2 + len(_ITEMS),), np.int32)

    @property
    def action_space(self) -> Discrete:
        """Left, up, right, down."""
        return Discrete(4)

    def default_params(self) -> RoomParams:
        """Each item pays 1, and the goal 1 of each type."""
        ones = jnp.ones(3, jnp.result_type(float))
        return RoomParams(ones, ones, integer(200))

    def time_limit(self, params: RoomParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: RoomParams) -> tuple[RoomState, Array]:
        """The agent in the lower left corner, with nothing."""
        nothing = jnp.zeros(len(_ITEMS), jnp.int32)
        state = RoomState(integer(_START[0]), integer(_START[1]), nothing)
        return state, _obs(state)

    def step(self, key: Key, state: RoomState, action: Array, params: RoomParams) -> tuple[RoomState, Step]:
        """One move, which collects an item that is there."""
        walls, items = map(jnp.asarray, _maze())
        row, col = state.row + jnp.asarray(_MOVES)[action, 0], state.col + jnp.asarray(_MOVES)[action, 1]
        free = is_inside(row, col, (SIDE, SIDE)) & ~walls[row, col]
        row, col = jnp.where(free, row, state.row), jnp.where(free, col, state.col)
        here = free & (jnp.arange(len(_ITEMS)) == items[row, col])
        after = RoomState(row, col, jnp.maximum(state.collected, here.astype(jnp.int32)))
        reward = self.reward(params, state, action, after)
        return after, Step(_obs(after), reward, _at_goal(after), {})

    def reward(self, params: RoomParams, state: RoomState, action: Array, next_state: RoomState) -> Array:
        """float[3], of what is newly collected, and of the goal."""
        new = (next_state.collected - state.collected).astype(params.item.dtype)
        items = jnp.sum(new[:, None] * jnp.asarray(_TYPE, params.item.dtype), axis=0) * params.item
        return items + jnp.where(_at_goal(next_state), params.goal, 0)

    def item(self, params: RoomParams, state: RoomState) -> Array:
        """int32[], the cell."""
        return SIDE * state.row + state.col

    def render(self, state: RoomState, params: RoomParams) -> Array:
        """uint8[208, 208, 3]: walls, the goal, the items that are left, the agent."""
        walls, items = _maze()
        floor = np.where(walls[..., None], np.array(_WALL), np.array(_FLOOR))
        floor[_GOAL] = _HOME
        colours = np.array([_COLOURS[kind] for _, kind in _ITEMS])[np.minimum(items, len(_ITEMS) - 1)]
        left = jnp.append(state.collected == 0, False)[items]
        return draw_agent(jnp.where(left[..., None], colours, floor), state.row, state.col)


def _obs(state: RoomState) -> Array:
    return jnp.concatenate([jnp.stack([state.row, state.col]), state.collected])


def _at_goal(state: RoomState) -> Array:
    return (state.row == _GOAL[0]) & (state.col == _GOAL[1])


ENVIRONMENTS = {"FourRoom": Entry(FourRoom, inert=("goal",))}
