"""Deep Sea Treasure: a submarine that trades the value of a treasure against the time to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
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


_STEPS = (1, 3, 5, 7, 8, 9, 13, 14, 17, 19)  # on the shortest path to each treasure


def _sea() -> tuple[np.ndarray, np.ndarray]:
    """Rock bool[11, 11], and the treasure's index int32[11, 11], -1 where there is none."""
    rock, index = np.zeros((11, 11), bool), np.full((11, 11), -1, np.int32)
    for i, (row, col) in enumerate(_CELLS):
        rock[row + 1 :, col] = True
        index[row, col] = i
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

    Observation: int32[2], row and column of an 11 x 11 map; with `float_state` 0.1 of that, float[2].
    Action: up, down, left, right; moves off the map or into rock stay. Reward: float[2], the treasure of the
    cell reached, -1. Termination: on a treasure. Time limit: 100.

    values: "convex" or "concave", the default treasures.
    """

    values: str = "convex"
    float_state: bool = False
    name: str = "DeepSeaTreasure"
    reward_dim: int = 2

    def __post_init__(self) -> None:
        if self.values not in _VALUES:
            raise UsageError(f'DeepSeaTreasure.values: must be "convex" or "concave", got {self.values!r}')

    @property
    def observation_space(self) -> Box:
        """The map."""
        return Box(0.0, 1.0, (2,)) if self.float_state else Box(0, 10, (2,), np.int32)

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
        """The submarine in the upper left corner."""
        state = TreasureState(integer(0), integer(0))
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
        """122 rows: cells row by row, rock and treasures among them, and the end."""

        def outcomes(row: Array, action: Array) -> tuple[Array, ...]:
            after = self._move(self.state_at(params, row), action)
            end = jnp.where(self._treasure(after) >= 0, 1.0, 0.0)
            reward = self.reward(params, after, action, after)
            return 1 - end[None], self.state_index(params, after)[None], end, reward

        return from_outcomes(outcomes, 121, 4, integer(0), params.treasure.dtype)

    def state_index(self, params: TreasureParams, state: TreasureState) -> Array:
        """int32[], 11 row + column."""
        return 11 * state.row + state.col

    def state_at(self, params: TreasureParams, index: Array, h: Array | int = 0) -> TreasureState:
        """Inverse of `state_index`."""
        return TreasureState(integer(index // 11), integer(index % 11))

    def item(self, params: TreasureParams, state: TreasureState) -> Array:
        """int32[], the cell."""
        return self.state_index(params, state)

    def render(self, state: TreasureState, params: TreasureParams) -> Array:
        """A picture of the map, uint8[176, 176, 3]."""
        rock, index = _sea()
        background = np.select([rock[..., None], index[..., None] >= 0], [_ROCK, TREASURE], WATER)
        return draw_agent(background, state.row, state.col)

    def _move(self, state: TreasureState, action: Array) -> TreasureState:
        row, col = after_move(state.row, state.col, action)
        rock = jnp.asarray(_sea()[0])
        free = is_inside(row, col, 11) & ~rock[row, col]
        return TreasureState(jnp.where(free, row, state.row), jnp.where(free, col, state.col))

    def _treasure(self, state: TreasureState) -> Array:
        return jnp.asarray(_sea()[1])[state.row, state.col]

    def _obs(self, state: TreasureState, params: TreasureParams) -> Array:
        obs = jnp.stack(state)
        return 0.1 * obs.astype(params.treasure.dtype) if self.float_state else obs


ENVIRONMENTS = {
    "DeepSeaTreasure": Entry(DeepSeaTreasure),
    "DeepSeaTreasure-concave": Entry(partial(DeepSeaTreasure, "concave", float_state=True)),
}
