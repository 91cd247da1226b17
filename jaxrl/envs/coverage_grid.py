"""A grid to walk on, with slips and blocked cells, and set functions of the cells visited.

Legend: `V` cells, row by row; `U` elements that can be covered; `k` elements that one cell covers at most;
`K` kinds of items. Actions: 0 stay, 1 right, 2 down, 3 left, 4 up. `states` counts visited states, the start
included: one more than actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs import coverage_maps
from jaxrl.envs.base import Entry, integer, real
from jaxrl.envs.set_reward import LogDet, LogDetParams, SetReward, set_episode
from jaxrl.envs.tabular import TabularMDP

MOVES = np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)], np.int32)
#: cells that one place covers, as offsets (row, column)
FOOTPRINTS = {
    "point": ((0, 0),),
    "quad": ((0, 0), (0, 1), (1, 0), (1, 1)),
    "plus": ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)),
    "block": tuple((r, c) for r in range(3) for c in range(3)),
}
WEIGHTS = ("constant", "bimodal", "gorilla", "gp")
_FLOOR, _WALL, _AGENT = (235, 235, 230), (70, 75, 85), (30, 100, 220)


class PlaceParams(NamedTuple):
    """free: bool[V]; start: int32[]; slip: float[], chance that an action is replaced by a uniform one."""

    free: Array
    start: Array
    slip: Array


class PlaceState(NamedTuple):
    """cell: int32[]."""

    cell: Array


@dataclass(frozen=True)
class PlaceGrid:
    """Walks on `rows x cols` cells for ever, without reward; moves off the grid or into blocked cells stay.

    Observation: int32[], the cell. Action: see the file; with probability `slip` one of the five at random is
    executed, which may be the chosen one.

    blocked: maps a default: one string per row, '#' for blocked cells, or empty. start, slip: defaults.
    """

    rows: int
    cols: int
    start: int = 0
    slip: float = 0.0
    blocked: tuple[str, ...] = ()
    name: str = "PlaceGrid"
    reward_dim: None = None

    def __post_init__(self) -> None:
        _check_grid("PlaceGrid", self.rows, self.cols, self.blocked)
        if not 0 <= self.start < self.n_places:
            raise UsageError(f"PlaceGrid.start: cell {self.start} is outside 0 .. {self.n_places - 1}")
        if not _free(self.rows, self.cols, self.blocked)[self.start]:
            raise UsageError(f"PlaceGrid.start: cell {self.start} is blocked; choose a free one")
        if not 0 <= self.slip <= 1:
            raise UsageError(f"PlaceGrid.slip: must lie in [0, 1], got {self.slip}")

    @property
    def n_places(self) -> int:
        """V."""
        return self.rows * self.cols

    @property
    def observation_space(self) -> Discrete:
        """Cells."""
        return Discrete(self.n_places)

    @property
    def action_space(self) -> Discrete:
        """Stay, right, down, left, up."""
        return Discrete(5)

    def default_params(self) -> PlaceParams:
        """Those of the fields."""
        free = _free(self.rows, self.cols, self.blocked)
        return PlaceParams(jnp.asarray(free), integer(self.start), real(self.slip))

    def reset(self, key: Key, params: PlaceParams) -> tuple[PlaceState, Array]:
        """At the start."""
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
        """int32[], the cell."""
        return state.cell

    def to_tabular(self, params: PlaceParams) -> TabularMDP:
        """`[V, 5, V]`, without reward or end."""
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
        """int32[], the cell."""
        return state.cell

    def state_at(self, params: PlaceParams, index: Array, h: Array | int = 0) -> PlaceState:
        """Inverse of `state_index`."""
        return PlaceState(integer(index))

    def render(self, state: PlaceState, params: PlaceParams) -> Array:
        """uint8[8 R, 8 C, 3]."""
        picture = jnp.where(params.free[:, None], np.array(_FLOOR, np.uint8), np.array(_WALL, np.uint8))
        picture = picture.at[state.cell].set(np.array(_AGENT, np.uint8))
        return picture.reshape(self.rows, self.cols, 3).repeat(8, 0).repeat(8, 1)

    def _move(self, cell: Array, action: Array, params: PlaceParams) -> Array:
        row = cell // self.cols + jnp.asarray(MOVES)[action, 0]
        col = cell % self.cols + jnp.asarray(MOVES)[action, 1]
        inside = (row >= 0) & (row < self.rows) & (col >= 0) & (col < self.cols)
        target = jnp.where(inside, row * self.cols + col, cell)
        return jnp.where(params.free[target], target, cell).astype(jnp.int32)


# --- what the visited cells are worth ---------------------------------------------------------------------


class FootprintParams(NamedTuple):
    """elements: int32[V, k], what each item covers, each element once, padded by U; weight: float[U]."""

    elements: Array
    weight: Array


@dataclass(frozen=True)
class GridCoverage:
    """Weighted coverage where every cell covers few others: F(S) is the weight of the union of footprints.

    The same function as `Coverage`, from lists instead of a matrix, so that a step costs O(k). Statistic:
    bool[U].

    footprint: a name of `FOOTPRINTS`, offsets from the place; what is off the grid or blocked is not covered.
    weights: a name of `WEIGHTS`, or V numbers. seed: of "gp".
    """

    rows: int
    cols: int
    footprint: str = "quad"
    weights: str | tuple[float, ...] = "constant"
    blocked: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _check_grid("GridCoverage", self.rows, self.cols, self.blocked)
        if self.footprint not in FOOTPRINTS:
            raise UsageError(
                f"GridCoverage.footprint: unknown {self.footprint!r}; choose one of {', '.join(FOOTPRINTS)}"
            )
        if isinstance(self.weights, str):
            if self.weights not in WEIGHTS:
                raise UsageError(
                    f"GridCoverage.weights: unknown {self.weights!r}; choose one of {', '.join(WEIGHTS)}, or "
                    "pass V numbers"
                )
            if self.weights == "gorilla" and (self.rows, self.cols) != (30, 30):
                raise UsageError("GridCoverage.weights: the gorilla map has 30 x 30 cells; set rows and cols")
            return
        weights = np.asarray(self.weights, np.float64)
        if weights.shape != (self.rows * self.cols,):
            raise UsageError(
                f"GridCoverage.weights: {weights.size} numbers for {self.rows * self.cols} cells"
            )
        if not np.all(weights >= 0):
            raise UsageError("GridCoverage.weights: has negative or NaN entries; F would not be monotone")
        object.__setattr__(self, "weights", tuple(weights.tolist()))

    def default_params(self) -> FootprintParams:
        """See the class."""
        elements = footprint_table(self.rows, self.cols, self.footprint, self.blocked)
        return FootprintParams(jnp.asarray(elements), jnp.asarray(self.weight_map().ravel()))

    def weight_map(self) -> np.ndarray:
        """[R, C] in the default float dtype."""
        shape = (self.rows, self.cols)
        if self.weights == "constant":
            weights = np.ones(shape)
        elif self.weights == "bimodal":
            weights = coverage_maps.bimodal(*shape)
        elif self.weights == "gorilla":
            weights = coverage_maps.gorilla()
        elif self.weights == "gp":
            weights = coverage_maps.gp_sample(self.seed, *shape)
        else:
            weights = np.reshape(self.weights, shape)
        return weights.astype(jnp.result_type(float))

    def init(self, params: FootprintParams) -> Array:
        """Nothing covered."""
        return jnp.zeros(params.weight.shape, bool)

    def gain(self, params: FootprintParams, stat: Array, item: Array) -> Array:
        """Weight of what is newly covered."""
        elements = params.elements[item]
        covered = stat.at[elements].get(mode="fill", fill_value=True)
        return jnp.sum(jnp.where(covered, 0, params.weight.at[elements].get(mode="fill", fill_value=0)))

    def add(self, params: FootprintParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """Union."""
        return stat.at[params.elements[item]].set(True, mode="drop"), self.gain(params, stat, item)

    def value(self, params: FootprintParams, stat: Array) -> Array:
        """Weight covered."""
        return jnp.sum(jnp.where(stat, params.weight, 0))


def footprint_table(rows: int, cols: int, footprint: str, blocked: tuple[str, ...] = ()) -> np.ndarray:
    """int32[V, k], the free cells that each cell covers, padded by V."""
    free, size = _free(rows, cols, blocked), rows * cols
    row, col = np.divmod(np.arange(size), cols)
    columns = []
    for dr, dc in FOOTPRINTS[footprint]:
        inside = (row + dr >= 0) & (row + dr < rows) & (col + dc >= 0) & (col + dc < cols)
        cell = np.where(inside, (row + dr) * cols + col + dc, 0)
        columns.append(np.where(inside & free[cell], cell, size))
    return np.stack(columns, axis=1).astype(np.int32)


class ItemParams(NamedTuple):
    """kind: int32[V], of the item in each cell, -1 for none; demand: float[K], how many are wanted."""

    kind: Array
    demand: Array


class ItemStat(NamedTuple):
    """visited: bool[V]; count: int32[K], cells visited that hold each kind."""

    visited: Array
    count: Array


@dataclass(frozen=True)
class ItemCollection:
    """F(S) = sum_i min(cells of S that hold item i, demand_i); a cell counts once.

    layout: default map, one string per row, a letter of `demand` or '.' per cell. demand: `(letter, number)`.
    """

    layout: tuple[str, ...]
    demand: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        letters = {letter for letter, _ in self.demand}
        for row in self.layout:
            if len(row) != len(self.layout[0]) or not set(row) <= {*letters, "."}:
                raise UsageError(
                    f"ItemCollection.layout: row {row!r} must have {len(self.layout[0])} cells, each '.' or "
                    f"one of {''.join(sorted(letters))}"
                )
        if not all(number >= 0 for _, number in self.demand):
            raise UsageError("ItemCollection.demand: must be >= 0; F would not be monotone")

    def default_params(self) -> ItemParams:
        """Those of the fields."""
        letters = "".join(letter for letter, _ in self.demand)
        kind = [letters.find(cell) for row in self.layout for cell in row]
        demand = np.array([number for _, number in self.demand], float)
        return ItemParams(jnp.asarray(kind, jnp.int32), jnp.asarray(demand, jnp.result_type(float)))

    def init(self, params: ItemParams) -> ItemStat:
        """Nothing collected."""
        return ItemStat(jnp.zeros(params.kind.shape, bool), jnp.zeros(params.demand.shape, jnp.int32))

    def gain(self, params: ItemParams, stat: ItemStat, item: Array) -> Array:
        """What the item of a cell not seen before adds, up to the demand."""
        return self.add(params, stat, item)[1]

    def add(self, params: ItemParams, stat: ItemStat, item: Array) -> tuple[ItemStat, Array]:
        """The cell visited."""
        kind = params.kind[item]
        new = (kind >= 0) & ~stat.visited[item]
        kind = jnp.clip(kind, min=0, max=params.demand.shape[0] - 1)
        before = stat.count[kind]
        demand = params.demand[kind]
        gain = jnp.minimum(before + 1, demand) - jnp.minimum(before, demand)
        after = ItemStat(stat.visited.at[item].set(True), stat.count.at[kind].add(new))
        return after, jnp.where(new, gain, 0)

    def value(self, params: ItemParams, stat: ItemStat) -> Array:
        """Items collected, up to the demands."""
        return jnp.sum(jnp.minimum(stat.count.astype(params.demand.dtype), params.demand))

    def features(self, params: ItemParams, stat: ItemStat) -> dict[str, Array]:
        """remaining: float[K], demands still open; visited: float[V]."""
        remaining = jnp.maximum(params.demand - stat.count.astype(params.demand.dtype), 0)
        return {"remaining": remaining, "visited": stat.visited.astype(params.demand.dtype)}


@dataclass(frozen=True)
class GridDesign(LogDet):
    """`LogDet` whose default is the Matern-5/2 process on a grid: where to measure next.

    n_items: rows * cols; capacity: `states`. spacing: between cells, in lengths of the process; variance: of
    the process, default ln 2; noise: sigma^2, at least 1e-2 in float32.
    """

    cols: int = 30
    spacing: float = 0.1
    variance: float = 0.6931471805599453
    noise: float = 1e-2
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cols < 1 or self.n_items % self.cols:
            raise UsageError(f"GridDesign.cols: {self.n_items} cells are no rows of {self.cols}")
        for field in ("spacing", "variance", "noise"):
            if not getattr(self, field) > 0:
                raise UsageError(f"GridDesign.{field}: must be > 0, got {getattr(self, field)}")

    def default_params(self) -> LogDetParams:
        """See the class."""
        process = self.n_items // self.cols, self.cols, self.spacing, self.variance
        if self.seed is None:
            kernel = coverage_maps.matern_kernel(*process)
        else:
            kernel = coverage_maps.posterior_kernel(self.seed, *process)
        return LogDetParams(jnp.asarray(kernel, jnp.result_type(float)), real(self.noise))


# --- the experiments' problems ----------------------------------------------------------------------------


def coverage_grid(
    weights: str | tuple[float, ...] = "constant",
    states: int = 40,
    *,
    rows: int = 30,
    cols: int = 30,
    start: int = 34,
    slip: float = 0.0,
    footprint: str = "quad",
    blocked: tuple[str, ...] = (),
    seed: int = 0,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Weighted coverage of a grid in `states` visited states; see `GridCoverage` and `set_episode`."""
    grid = PlaceGrid(rows, cols, start, slip, blocked)
    F = GridCoverage(rows, cols, footprint, weights, blocked, seed)
    return set_episode(grid, F, states, show_history=show_history, show_stat=show_stat, modular=modular)


def two_rooms(
    states: int = 40,
    *,
    slip: float = 0.0,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Two rooms joined by a corridor, 68 free cells, all of which can be covered in 39 states."""
    return coverage_grid(
        "constant", states, rows=7, cols=14, slip=slip, blocked=coverage_maps.TWO_ROOMS,
        show_history=show_history, show_stat=show_stat, modular=modular,
    )  # fmt: skip


def item_collection(
    layout: tuple[str, ...] = coverage_maps.ITEMS,
    states: int = 40,
    *,
    start: int = 34,
    slip: float = 0.0,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Items by demand on a map of one string per row, e.g. `coverage_maps.random_items(seed)`; best 21."""
    F = ItemCollection(layout, tuple(coverage_maps.DEMAND.items()))
    grid = PlaceGrid(len(layout), len(layout[0]), start, slip)
    return set_episode(grid, F, states, show_history=show_history, show_stat=show_stat, modular=modular)


def gp_design(
    states: int = 40,
    *,
    rows: int = 30,
    cols: int = 30,
    start: int = 34,
    slip: float = 0.0,
    noise: float = 1e-2,
    seed: int | None = None,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Information about a Gaussian process on a grid, 1/2 log det(I + K / noise) nats; see `GridDesign`.

    Released settings: noise 1e-6, which needs float64.
    """
    F = GridDesign(rows * cols, states, cols, noise=noise, seed=seed)
    return set_episode(
        PlaceGrid(rows, cols, start, slip), F, states,
        show_history=show_history, show_stat=show_stat, modular=modular,
    )  # fmt: skip


def _check_grid(name: str, rows: int, cols: int, blocked: tuple[str, ...]) -> None:
    if rows < 1 or cols < 1:
        raise UsageError(f"{name}.rows, cols: must be >= 1, got {rows} x {cols}")
    if blocked and (len(blocked) != rows or any(len(row) != cols for row in blocked)):
        raise UsageError(f"{name}.blocked: must be {rows} strings of {cols} cells, or ()")


def _free(rows: int, cols: int, blocked: tuple[str, ...]) -> np.ndarray:
    """bool[V]."""
    if not blocked:
        return np.ones(rows * cols, bool)
    return np.array([cell != "#" for row in blocked for cell in row])


ENVIRONMENTS = {
    "Coverage": Entry(partial(coverage_grid, states=80)),
    "Coverage-bimodal": Entry(partial(coverage_grid, "bimodal")),
    "Coverage-gorilla": Entry(partial(coverage_grid, "gorilla")),
    "Coverage-gp": Entry(partial(coverage_grid, "gp")),
    "Coverage-two_rooms": Entry(two_rooms),
    "ItemCollection": Entry(item_collection),
    "ItemCollection-noisy": Entry(partial(item_collection, slip=0.1)),
    "GPDesign": Entry(gp_design),
}
