"""Deep Sea Treasure: a submarine that trades the value of a treasure against the time to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import check_fields
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.grids.moves import TREASURE, WATER, after_move, draw_agent, is_inside
from jaxrl.envs.tabular.mdp import TabularMDP, from_outcomes

_ROCK = (70, 75, 85)


# (row, column) of the treasures, convex values (Yang et al. 2019), concave values (Vamplew et al. 2011)
_CELLS = ((1, 0), (2, 1), (3, 2), (4, 3), (4, 4), (4, 5), (7, 6), (7, 7), (9, 8), (10, 9))


_VALUES = {
    "convex": (0.7, 8.2, 11.5, 14.0, 15.1, 16.1, 19.6, 20.3, 22.4, 23.7),
    "concave": (1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 24.0, 50.0, 74.0, 124.0),
}
_VALUES["mirrored"] = _VALUES["concave"]


_STEPS = (1, 3, 5, 7, 8, 9, 13, 14, 17, 19)  # on the shortest path to each treasure


# the mirrored map has ten more columns to the left, whose rock begins in these, row by row
_LEFT_ROCK = {2: 9, 3: 8, 4: 7, 5: 4, 6: 4, 7: 4, 8: 2, 9: 2, 10: 1}


def _sea(left: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rock bool[11, width], and the treasure's index int32[11, width], -1 where there is none."""
    rock, index = np.zeros((11, width), bool), np.full((11, width), -1, np.int32)
    for i, (row, col) in enumerate(_CELLS):
        rock[row + 1 :, left + col] = True
        index[row, left + col] = i
    for row, col in _LEFT_ROCK.items():
        rock[row, col:left] = True
    return rock, index


class TreasureParams(NamedTuple):
    """Parameters of `DeepSeaTreasure`.

    treasure: float[10], by column; limit: int32[].
    """

    treasure: Array
    limit: Array


class TreasureState(NamedTuple):
    """Position of the submarine.

    row, col: int32[].
    """

    row: Array
    col: Array


@dataclass(frozen=True)
class DeepSeaTreasure:
    """A submarine trades treasure against time (Vamplew et al. 2011; mo-gymnasium deep-sea-treasure-v0).

    Observation: int32[2], row and column of an 11 x 11 map, 11 x 20 where it is mirrored; with `float_state`
    0.1 of that, float[2]. Action: up, down, left, right; moves off the map or into rock stay. Reward:
    float[2], the treasure of the cell reached, -1. Termination: on a treasure. Time limit: 100.
    """

    values: Literal["convex", "concave", "mirrored"] = "convex"
    """The default treasures; "mirrored" has the concave ones, and water without treasures to the left."""
    float_state: bool = False
    """Whether a tenth of row and column is observed in place of the integers."""
    name: str = "DeepSeaTreasure"
    reward_dim: int = 2

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def _left(self) -> int:
        """Columns to the left of the start."""
        return 10 if self.values == "mirrored" else 0

    @property
    def _width(self) -> int:
        """Columns of the map."""
        return 20 if self.values == "mirrored" else 11

    @property
    def observation_space(self) -> Box:
        """The map."""
        last = (10, self._width - 1)
        if self.float_state:
            return Box(0.0, (0.1 * last[0], 0.1 * last[1]), (2,))
        return Box(0, last, (2,), np.int32)

    @property
    def action_space(self) -> Discrete:
        """Up, down, left, right."""
        return Discrete(4)

    def default_params(self) -> TreasureParams:
        """The treasures of `values`."""
        return TreasureParams(jnp.asarray(np.array(_VALUES[self.values])), integer(100))

    def time_limit(self, params: TreasureParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def front(self, gamma: float) -> np.ndarray:
        """float64[10, 2], discounted returns of the shortest paths to the default treasures, by column."""
        n = np.array(_STEPS)
        time = n.astype(float) if gamma == 1 else (1 - gamma**n) / (1 - gamma)
        return np.stack([np.array(_VALUES[self.values]) * gamma ** (n - 1), -time], axis=1)

    def reset(self, key: Key, params: TreasureParams) -> tuple[TreasureState, Array]:
        """The submarine at the surface, above the first treasure."""
        state = TreasureState(integer(0), integer(self._left))
        return state, self._obs(state, params)

    def step(
        self, key: Key, state: TreasureState, action: Array, params: TreasureParams
    ) -> tuple[TreasureState, Step]:
        """One move."""
        after = self._move(state, action)
        reward = self.reward(params, state, action, after)
        return after, Step(self._obs(after, params), reward, self._treasure(after) >= 0, {})

    def reward(
        self, params: TreasureParams, state: TreasureState, action: Array, next_state: TreasureState
    ) -> Array:
        """float[2], the value of a treasure and the cost of a step."""
        index = self._treasure(next_state)
        treasure = jnp.where(index >= 0, params.treasure[index], 0)
        return jnp.stack([treasure, jnp.full_like(treasure, -1)])

    def to_tabular(self, params: TreasureParams) -> TabularMDP:
        """Tables with 122 rows, mirrored 221: cells row by row, rock and treasures too, and the end."""

        def outcomes(row: Array, action: Array) -> tuple[Array, ...]:
            after = self._move(self.state_at(params, row), action)
            end = jnp.where(self._treasure(after) >= 0, 1.0, 0.0)
            reward = self.reward(params, after, action, after)
            return 1 - end[None], self.state_index(params, after)[None], end, reward

        return from_outcomes(outcomes, 11 * self._width, 4, integer(self._left), params.treasure.dtype)

    def state_index(self, params: TreasureParams, state: TreasureState) -> Array:
        """int32[], row times the width of the map + column."""
        return self._width * state.row + state.col

    def state_at(self, params: TreasureParams, index: Array, h: Array | int = 0) -> TreasureState:
        """Inverse of `state_index`."""
        return TreasureState(integer(index // self._width), integer(index % self._width))

    def item(self, params: TreasureParams, state: TreasureState) -> Array:
        """int32[], the cell."""
        return self.state_index(params, state)

    def render(self, state: TreasureState, params: TreasureParams) -> Array:
        """A picture of the map, uint8[176, 176, 3], mirrored 320 wide."""
        rock, index = _sea(self._left, self._width)
        background = np.select([rock[..., None], index[..., None] >= 0], [_ROCK, TREASURE], WATER)
        return draw_agent(background, state.row, state.col)

    def _move(self, state: TreasureState, action: Array) -> TreasureState:
        row, col = after_move(state.row, state.col, action)
        rock = jnp.asarray(_sea(self._left, self._width)[0])
        free = is_inside(row, col, rock.shape) & ~rock[row, col]
        return TreasureState(jnp.where(free, row, state.row), jnp.where(free, col, state.col))

    def _treasure(self, state: TreasureState) -> Array:
        return jnp.asarray(_sea(self._left, self._width)[1])[state.row, state.col]

    def _obs(self, state: TreasureState, params: TreasureParams) -> Array:
        obs = jnp.stack(state)
        return 0.1 * obs.astype(params.treasure.dtype) if self.float_state else obs


ENVIRONMENTS = {
    "DeepSeaTreasure": Entry(DeepSeaTreasure),
    "DeepSeaTreasure-concave": Entry(partial(DeepSeaTreasure, "concave", float_state=True)),
    "DeepSeaTreasure-mirrored": Entry(partial(DeepSeaTreasure, "mirrored")),
}
