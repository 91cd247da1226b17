"""Weighted coverage of the cells of a grid, from lists of what each cell covers.

Legend: `V` cells, row by row; `U` elements that can be covered; `k` elements that one cell covers at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.cells import check_map, free_cells

#: cells that one place covers, as offsets (row, column)
FOOTPRINTS = {
    "point": ((0, 0),),
    "quad": ((0, 0), (0, 1), (1, 0), (1, 1)),
    "plus": ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)),
    "block": tuple((r, c) for r in range(3) for c in range(3)),
}


WEIGHTS = ("constant", "bimodal", "gorilla", "gp")


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
        check_map("GridCoverage", self.rows, self.cols, self.blocked)
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
            weights = maps.bimodal(*shape)
        elif self.weights == "gorilla":
            weights = maps.gorilla()
        elif self.weights == "gp":
            weights = maps.gp_sample(self.seed, *shape)
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
    free, size = free_cells(rows, cols, blocked), rows * cols
    row, col = np.divmod(np.arange(size), cols)
    columns = []
    for dr, dc in FOOTPRINTS[footprint]:
        inside = (row + dr >= 0) & (row + dr < rows) & (col + dc >= 0) & (col + dc < cols)
        cell = np.where(inside, (row + dr) * cols + col + dc, 0)
        columns.append(np.where(inside & free[cell], cell, size))
    return np.stack(columns, axis=1).astype(np.int32)
