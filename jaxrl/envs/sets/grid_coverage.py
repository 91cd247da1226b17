"""Weighted coverage of the cells of a grid, from lists of what each cell covers.

Legend: `V` cells, row by row; `R`, `C` rows and columns; `U` elements that can be covered; `k` elements that
one cell covers at most; `n` cells of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Seed, Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.cells import check_map, free_cells
from jaxrl.envs.sets.protocol import finite_weights, indices_below

#: cells that one place covers, as offsets (row, column)
FOOTPRINTS = {
    "point": ((0, 0),),
    "quad": ((0, 0), (0, 1), (1, 0), (1, 1)),
    "plus": ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)),
    "block": tuple((r, c) for r in range(3) for c in range(3)),
}

Footprint = Literal["point", "quad", "plus", "block"]
Weights = Literal["constant", "bimodal", "gorilla", "gp"]
WEIGHTS: tuple[str, ...] = get_args(Weights)


class FootprintParams(NamedTuple):
    """Parameters of `GridCoverage`.

    elements: int32[V, k], what each item covers, each element once, padded by U; weight: float[U].
    """

    elements: Array
    weight: Array


@dataclass(frozen=True)
class GridCoverage:
    """Weighted coverage where every cell covers few others: F(S) is the weight of the union of footprints.

    The same function as `Coverage`, from lists instead of a matrix, so that a step costs O(k). Statistic:
    bool[U].
    """

    rows: Size
    """Rows R of the grid."""
    cols: Size
    """Columns C of the grid."""
    footprint: Footprint = "quad"
    """What a cell covers, a name of `FOOTPRINTS`; what is off the grid or blocked is not covered."""
    weights: Weights | tuple[NonNegative, ...] = "constant"
    """Weights of the cells: 1, a map of `coverage.maps`, or V numbers. "gorilla" is for 30 x 30 cells."""
    blocked: tuple[str, ...] = ()
    """The map: one string per row, '#' for blocked cells; empty for none."""
    seed: Seed = 0
    """Seed of the map "gp"."""

    def __post_init__(self) -> None:
        if isinstance(self.weights, np.ndarray):
            object.__setattr__(self, "weights", tuple(self.weights.tolist()))
        check_fields(self)
        check_map("GridCoverage", self.rows, self.cols, self.blocked)
        if self.weights == "gorilla" and (self.rows, self.cols) != (30, 30):
            raise UsageError("GridCoverage.weights: the gorilla map has 30 x 30 cells; set rows and cols")
        if not isinstance(self.weights, str) and len(self.weights) != self.rows * self.cols:
            raise UsageError(
                f"GridCoverage.weights: {len(self.weights)} numbers for {self.rows * self.cols} cells"
            )

    def default_params(self) -> FootprintParams:
        """Footprints and weights of the fields. Raises `UsageError` where weights overflow."""
        elements = footprint_table(self.rows, self.cols, self.footprint, self.blocked)
        return FootprintParams(jnp.asarray(elements), jnp.asarray(self.weight_map().ravel()))

    def weight_map(self) -> np.ndarray:
        """float[R, C] in the default dtype, the weights of the cells."""
        shape = (self.rows, self.cols)
        if self.weights == "constant":
            weights = np.ones(shape)
        elif self.weights == "bimodal":
            weights = maps.bimodal(*shape)
        elif self.weights == "gorilla":
            weights = maps.gorilla()
        elif self.weights == "gp":
            weights = maps.gp_sample(self.seed, *shape)
        else:
            weights = np.reshape(self.weights, shape)
        return finite_weights(weights, "GridCoverage.weights")

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items are cells."""
        return indices_below(items, self.rows * self.cols)

    def init(self, params: FootprintParams) -> Array:
        """The statistic of nothing covered."""
        return jnp.zeros(params.weight.shape, bool)

    def gain(self, params: FootprintParams, stat: Array, item: Array) -> Array:
        """The weight of what is newly covered."""
        elements = params.elements[item]
        covered = stat.at[elements].get(mode="fill", fill_value=True)
        return jnp.sum(jnp.where(covered, 0, params.weight.at[elements].get(mode="fill", fill_value=0)))

    def add(self, params: FootprintParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """The union with the footprint, and the gain."""
        return stat.at[params.elements[item]].set(True, mode="drop"), self.gain(params, stat, item)

    def value(self, params: FootprintParams, stat: Array) -> Array:
        """The weight of what is covered."""
        return jnp.sum(jnp.where(stat, params.weight, 0))


def footprint_table(rows: int, cols: int, footprint: str, blocked: tuple[str, ...] = ()) -> np.ndarray:
    """int32[V, k], the free cells that each cell covers, padded by V."""
    free, size = free_cells(rows, cols, blocked), rows * cols
    row, col = np.divmod(np.arange(size), cols)
    columns = []
    for dr, dc in FOOTPRINTS[footprint]:
        inside = (row + dr >= 0) & (row + dr < rows) & (col + dc >= 0) & (col + dc < cols)
        cell = np.where(inside, (row + dr) * cols + col + dc, 0)
        columns.append(np.where(inside & free[cell], cell, size))
    return np.stack(columns, axis=1).astype(np.int32)
