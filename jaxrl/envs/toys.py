"""Small problems with vector rewards and known fronts, equal to mo-gymnasium's by state injection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.tabular import TabularMDP, from_outcomes

_MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)  # up, down, left, right
_WATER, _ROCK, _TREASURE, _AGENT = (170, 205, 235), (70, 75, 85), (240, 170, 30), (200, 50, 50)
_GRASS, _ENEMY, _HOME = (215, 230, 205), (210, 60, 60), (150, 80, 190)

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
    """treasure: float[10], by column; limit: int32[]."""

    treasure: Array
    limit: Array


class TreasureState(NamedTuple):
    """row, col: int32[]."""

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
        """int32[]."""
        return params.limit

    def front(self, gamma: float) -> np.ndarray:
        """float64[10, 2], discounted returns of the shortest paths to the default treasures, by column."""
        n = np.array(_STEPS)
        time = n.astype(float) if gamma == 1 else (1 - gamma**n) / (1 - gamma)
        return np.stack([np.array(_VALUES[self.values]) * gamma ** (n - 1), -time], axis=1)

    def reset(self, key: Key, params: TreasureParams) -> tuple[TreasureState, Array]:
        """In the upper left corner."""
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
        """float[2]."""
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
        """uint8[176, 176, 3]."""
        rock, index = _sea()
        background = np.select([rock[..., None], index[..., None] >= 0], [_ROCK, _TREASURE], _WATER)
        return _draw(background, state.row, state.col)

    def _move(self, state: TreasureState, action: Array) -> TreasureState:
        row, col = _moved(state.row, state.col, action)
        rock = jnp.asarray(_sea()[0])
        free = _inside(row, col, 11) & ~rock[row, col]
        return TreasureState(jnp.where(free, row, state.row), jnp.where(free, col, state.col))

    def _treasure(self, state: TreasureState) -> Array:
        return jnp.asarray(_sea()[1])[state.row, state.col]

    def _obs(self, state: TreasureState, params: TreasureParams) -> Array:
        obs = jnp.stack(state)
        return 0.1 * obs.astype(params.treasure.dtype) if self.float_state else obs


_H, _GOLD, _GEM, _ENEMIES = (4, 2), (0, 2), (1, 4), ((1, 2), (0, 3))


class GatheringParams(NamedTuple):
    """p_death: float[], of an enemy's cell per step; limit: int32[]."""

    p_death: Array
    limit: Array


class GatheringState(NamedTuple):
    """All int32[]; gold, gem: 0 or 1."""

    row: Array
    col: Array
    gold: Array
    gem: Array


@dataclass(frozen=True)
class ResourceGathering:
    """Fetch gold and a gem past enemies (Barrett and Narayanan 2008; mo-gymnasium resource-gathering-v0).

    Observation: int32[4], row and column of a 5 x 5 map, has gold, has gem. Action: up, down, left, right;
    moves off the map stay. Reward: float[3], -1 when killed; gold and gem brought home. Termination: killed,
    with probability `p_death` in an enemy's cell, or at home, with or without anything. Time limit: 100.
    """

    name: str = "ResourceGathering"
    reward_dim: int = 3

    @property
    def observation_space(self) -> Box:
        """See the class."""
        return Box(0, (4, 4, 1, 1), (4,), np.int32)

    @property
    def action_space(self) -> Discrete:
        """Up, down, left, right."""
        return Discrete(4)

    def default_params(self) -> GatheringParams:
        """Enemies kill with probability 0.1."""
        return GatheringParams(jnp.full((), 0.1, jnp.result_type(float)), integer(100))

    def time_limit(self, params: GatheringParams) -> Array:
        """int32[]."""
        return params.limit

    def reset(self, key: Key, params: GatheringParams) -> tuple[GatheringState, Array]:
        """At home, with nothing."""
        state = GatheringState(integer(_H[0]), integer(_H[1]), integer(0), integer(0))
        return state, jnp.stack(state)

    def step(
        self, key: Key, state: GatheringState, action: Array, params: GatheringParams
    ) -> tuple[GatheringState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.p_death.dtype), params)

    def step_u(
        self, state: GatheringState, action: Array, u: Array, params: GatheringParams
    ) -> tuple[GatheringState, Step]:
        """Move, then take or die; `u` float[] below `p_death` kills."""
        after = self._move(state, action)
        killed, home = self._with_enemy(after) & (u < params.p_death), _at(after, _H)
        brought = jnp.stack([killed * -1, home * after.gold, home * after.gem])
        return after, Step(jnp.stack(after), brought.astype(params.p_death.dtype), killed | home, {})

    def to_tabular(self, params: GatheringParams) -> TabularMDP:
        """101 rows: 20 row + 4 column + 2 gold + gem, and the end; the reward -1 as its expectation."""

        def outcomes(row: Array, action: Array) -> tuple[Array, ...]:
            after = self._move(self.state_at(params, row), action)
            home = _at(after, _H)
            p = jnp.where(self._with_enemy(after), params.p_death, 0)
            end = jnp.where(home, 1, p)
            reward = jnp.stack([-p, home * after.gold, home * after.gem])
            return 1 - end[None], self.state_index(params, after)[None], end, reward

        start, _ = self.reset(jax.random.key(0), params)
        return from_outcomes(outcomes, 100, 4, self.state_index(params, start), params.p_death.dtype)

    def state_index(self, params: GatheringParams, state: GatheringState) -> Array:
        """int32[], see `to_tabular`."""
        return 20 * state.row + 4 * state.col + 2 * state.gold + state.gem

    def state_at(self, params: GatheringParams, index: Array, h: Array | int = 0) -> GatheringState:
        """Inverse of `state_index`."""
        digits = (index // 20, index // 4 % 5, index // 2 % 2, index % 2)
        return GatheringState(*map(integer, digits))

    def item(self, params: GatheringParams, state: GatheringState) -> Array:
        """int32[], the cell."""
        return 5 * state.row + state.col

    def render(self, state: GatheringState, params: GatheringParams) -> Array:
        """uint8[80, 80, 3]; the agent on gold or gem hides it, what it carries is not drawn."""
        background = np.full((5, 5, 3), _GRASS)
        for cell, colour in (
            (_H, _HOME),
            (_GOLD, _TREASURE),
            (_GEM, _WATER),
            *((e, _ENEMY) for e in _ENEMIES),
        ):
            background[cell] = colour
        return _draw(background, state.row, state.col)

    def _move(self, state: GatheringState, action: Array) -> GatheringState:
        row, col = _moved(state.row, state.col, action)
        free = _inside(row, col, 5)
        after = state._replace(row=jnp.where(free, row, state.row), col=jnp.where(free, col, state.col))
        gold, gem = (state.gold == 1) | _at(after, _GOLD), (state.gem == 1) | _at(after, _GEM)
        return after._replace(gold=gold.astype(jnp.int32), gem=gem.astype(jnp.int32))

    def _with_enemy(self, state: GatheringState) -> Array:
        return _at(state, _ENEMIES[0]) | _at(state, _ENEMIES[1])


def _at(state: GatheringState, cell: tuple[int, int]) -> Array:
    return (state.row == cell[0]) & (state.col == cell[1])


def _moved(row: Array, col: Array, action: Array) -> tuple[Array, Array]:
    step = jnp.asarray(_MOVES)[action]
    return row + step[0], col + step[1]


def _inside(row: Array, col: Array, side: int) -> Array:
    return (row >= 0) & (row < side) & (col >= 0) & (col < side)


def _draw(background: np.ndarray, row: Array, col: Array) -> Array:
    """uint8[16 n, 16 n, 3], the agent on a map `[n, n, 3]`."""
    picture = jnp.asarray(background, jnp.uint8).at[row, col].set(jnp.asarray(_AGENT, jnp.uint8))
    return picture.repeat(16, 0).repeat(16, 1)


ENVIRONMENTS = {
    "DeepSeaTreasure": Entry(DeepSeaTreasure),
    "DeepSeaTreasure-concave": Entry(partial(DeepSeaTreasure, "concave", float_state=True)),
    "ResourceGathering": Entry(ResourceGathering),
}
