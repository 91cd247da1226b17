"""A grid to walk on, with slips and blocked cells, without reward.

Legend: `V` cells, row by row; `R` rows, `C` columns. Actions: 0 stay, 1 right, 2 down, 3 left, 4 up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Share, Size, check_fields
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import integer, real
from jaxrl.envs.coverage.cells import check_map, free_cells
from jaxrl.envs.tabular.mdp import TabularMDP

MOVES = np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)], np.int32)


_FLOOR, _WALL, _AGENT = (235, 235, 230), (70, 75, 85), (30, 100, 220)


class PlaceParams(NamedTuple):
    """Parameters of `PlaceGrid`.

    free: bool[V]; start: int32[]; slip: float[], chance that an action is replaced by a uniform one.
    """

    free: Array
    start: Array
    slip: Array


class PlaceState(NamedTuple):
    """State of `PlaceGrid`.

    cell: int32[], where the agent stands.
    """

    cell: Array


@dataclass(frozen=True)
class PlaceGrid:
    """Walks on `rows x cols` cells for ever, without reward; moves off the grid or into blocked cells stay.

    Observation: int32[], the cell. Action: see the file; with probability `slip` one of the five at random is
    executed, which may be the chosen one.
    """

    rows: Size
    """Rows of the grid."""
    cols: Size
    """Columns of the grid."""
    start: Count = 0
    """Default of the parameter: the cell where an episode starts."""
    slip: Share = 0.0
    """Default of the parameter: the chance that an action is replaced by a random one."""
    blocked: tuple[str, ...] = ()
    """Default of the parameter: one string per row, '#' for blocked cells; empty for none."""
    name: str = "PlaceGrid"
    """Name in messages and tables."""
    reward_dim: None = None
    """Rewards are scalars."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_map("PlaceGrid", self.rows, self.cols, self.blocked)
        if self.start >= self.n_places:
            raise UsageError(f"PlaceGrid.start: cell {self.start} is outside 0 .. {self.n_places - 1}")
        if not free_cells(self.rows, self.cols, self.blocked)[self.start]:
            raise UsageError(f"PlaceGrid.start: cell {self.start} is blocked; choose a free one")

    @property
    def n_places(self) -> int:
        """Number of cells V."""
        return self.rows * self.cols

    @property
    def observation_space(self) -> Discrete:
        """The cells of the grid."""
        return Discrete(self.n_places)

    @property
    def action_space(self) -> Discrete:
        """The five actions: stay, right, down, left, up."""
        return Discrete(5)

    def default_params(self) -> PlaceParams:
        """Free cells, start and slip of the fields."""
        free = free_cells(self.rows, self.cols, self.blocked)
        return PlaceParams(jnp.asarray(free), integer(self.start), real(self.slip))

    def reset(self, key: Key, params: PlaceParams) -> tuple[PlaceState, Array]:
        """Begins at the start."""
        return PlaceState(params.start), params.start

    def step(
        self, key: Key, state: PlaceState, action: Array, params: PlaceParams
    ) -> tuple[PlaceState, Step]:
        """`step_u` with two uniform numbers."""
        return self.step_u(state, action, jax.random.uniform(key, (2,), params.slip.dtype), params)

    def step_u(
        self, state: PlaceState, action: Array, u: Array, params: PlaceParams
    ) -> tuple[PlaceState, Step]:
        """`u` float[2]: below `slip` the action floor(5 u_1) is executed."""
        random = jnp.floor(5 * u[1]).astype(jnp.int32)
        cell = self._move(state.cell, jnp.where(u[0] < params.slip, random, action), params)
        return PlaceState(cell), Step(cell, jnp.zeros((), params.slip.dtype), jnp.asarray(False), {})

    def item(self, params: PlaceParams, state: PlaceState) -> Array:
        """int32[], the cell where the agent stands."""
        return state.cell

    def to_tabular(self, params: PlaceParams) -> TabularMDP:
        """The tables `[V, 5, V]`, without reward or end."""
        cells, actions = jnp.arange(self.n_places), jnp.arange(5)
        ends = jax.vmap(jax.vmap(self._move, (None, 0, None)), (0, None, None))(cells, actions, params)
        to = jax.nn.one_hot(ends, self.n_places, dtype=params.slip.dtype)
        return TabularMDP(
            P=(1 - params.slip) * to + params.slip * to.mean(1, keepdims=True),
            R=jnp.zeros((self.n_places, 5), params.slip.dtype),
            mu0=jax.nn.one_hot(params.start, self.n_places, dtype=params.slip.dtype),
            gamma=jnp.ones((), params.slip.dtype),
            terminal=jnp.zeros(self.n_places, bool),
        )

    def state_index(self, params: PlaceParams, state: PlaceState) -> Array:
        """int32[], the cell where the agent stands."""
        return state.cell

    def state_at(self, params: PlaceParams, index: Array, h: Array | int = 0) -> PlaceState:
        """The state of cell `index` int32[]; `h` [] is not read."""
        return PlaceState(integer(index))

    def render(self, state: PlaceState, params: PlaceParams) -> Array:
        """uint8[8 R, 8 C, 3], free cells light, blocked ones dark, the agent blue."""
        picture = jnp.where(params.free[:, None], np.array(_FLOOR, np.uint8), np.array(_WALL, np.uint8))
        picture = picture.at[state.cell].set(np.array(_AGENT, np.uint8))
        return picture.reshape(self.rows, self.cols, 3).repeat(8, 0).repeat(8, 1)

    def _move(self, cell: Array, action: Array, params: PlaceParams) -> Array:
        row = cell // self.cols + jnp.asarray(MOVES)[action, 0]
        col = cell % self.cols + jnp.asarray(MOVES)[action, 1]
        inside = (row >= 0) & (row < self.rows) & (col >= 0) & (col < self.cols)
        target = jnp.where(inside, row * self.cols + col, cell)
        return jnp.where(params.free[target], target, cell).astype(jnp.int32)
