"""Resource Gathering: gold, gems and enemies on a grid, with a vector reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.grids.moves import TREASURE, WATER, after_move, draw_agent, is_inside
from jaxrl.envs.tabular.mdp import TabularMDP, from_outcomes

_GRASS, _ENEMY, _HOME = (215, 230, 205), (210, 60, 60), (150, 80, 190)


_H, _GOLD, _GEM, _ENEMIES = (4, 2), (0, 2), (1, 4), ((1, 2), (0, 3))


class GatheringParams(NamedTuple):
    """Parameters of `ResourceGathering`.

    p_death: float[], of an enemy's cell per step; limit: int32[].
    """

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
        """Row, column, and whether gold and gem are carried, int32[4]."""
        return Box(0, (4, 4, 1, 1), (4,), np.int32)

    @property
    def action_space(self) -> Discrete:
        """Up, down, left, right."""
        return Discrete(4)

    def default_params(self) -> GatheringParams:
        """Enemies kill with probability 0.1."""
        return GatheringParams(jnp.full((), 0.1, jnp.result_type(float)), integer(100))

    def time_limit(self, params: GatheringParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: GatheringParams) -> tuple[GatheringState, Array]:
        """The agent at home, with nothing."""
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
            (_GOLD, TREASURE),
            (_GEM, WATER),
            *((e, _ENEMY) for e in _ENEMIES),
        ):
            background[cell] = colour
        return draw_agent(background, state.row, state.col)

    def _move(self, state: GatheringState, action: Array) -> GatheringState:
        row, col = after_move(state.row, state.col, action)
        free = is_inside(row, col, (5, 5))
        after = state._replace(row=jnp.where(free, row, state.row), col=jnp.where(free, col, state.col))
        gold, gem = (state.gold == 1) | _at(after, _GOLD), (state.gem == 1) | _at(after, _GEM)
        return after._replace(gold=gold.astype(jnp.int32), gem=gem.astype(jnp.int32))

    def _with_enemy(self, state: GatheringState) -> Array:
        return _at(state, _ENEMIES[0]) | _at(state, _ENEMIES[1])


def _at(state: GatheringState, cell: tuple[int, int]) -> Array:
    return (state.row == cell[0]) & (state.col == cell[1])


ENVIRONMENTS = {
    "ResourceGathering": Entry(ResourceGathering),
}
