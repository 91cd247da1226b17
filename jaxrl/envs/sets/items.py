"""Items of several kinds, each wanted up to a demand.

Legend: `V` cells, row by row; `K` kinds of items; `n` cells of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import indices_below, nonnegative


class ItemParams(NamedTuple):
    """Parameters of `ItemCollection`.

    kind: int32[V], of the item in each cell, -1 for none; demand: float[K], how many are wanted.
    """

    kind: Array
    demand: Array


class ItemStat(NamedTuple):
    """Statistic of `ItemCollection`.

    visited: bool[V]; count: int32[K], cells visited that hold each kind.
    """

    visited: Array
    count: Array


@dataclass(frozen=True)
class ItemCollection:
    """F(S) = sum_i min(cells of S that hold item i, demand_i); a cell counts once."""

    layout: tuple[str, ...]
    """The default map: one string per row, a letter of `demand` or '.' per cell."""
    demand: tuple[tuple[str, NonNegative], ...]
    """Pairs of a letter and the number of its items that are wanted."""

    def __post_init__(self) -> None:
        check_fields(self)
        letters = {letter for letter, _ in self.demand}
        for row in self.layout:
            if len(row) != len(self.layout[0]) or not set(row) <= {*letters, "."}:
                raise UsageError(
                    f"ItemCollection.layout: row {row!r} must have {len(self.layout[0])} cells, each '.' or "
                    f"one of {''.join(sorted(letters))}"
                )

    def default_params(self) -> ItemParams:
        """The map and the demands of the fields."""
        letters = "".join(letter for letter, _ in self.demand)
        kind = [letters.find(cell) for row in self.layout for cell in row]
        demand = nonnegative([number for _, number in self.demand], name="ItemCollection.demand")
        return ItemParams(jnp.asarray(kind, jnp.int32), demand)

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items are cells."""
        return indices_below(items, sum(map(len, self.layout)))

    def init(self, params: ItemParams) -> ItemStat:
        """The statistic of nothing collected."""
        return ItemStat(jnp.zeros(params.kind.shape, bool), jnp.zeros(params.demand.shape, jnp.int32))

    def gain(self, params: ItemParams, stat: ItemStat, item: Array) -> Array:
        """The worth of the cell's item, where the cell is new and the demand still open."""
        return self.add(params, stat, item)[1]

    def add(self, params: ItemParams, stat: ItemStat, item: Array) -> tuple[ItemStat, Array]:
        """The statistic with the cell visited, and the gain."""
        kind = params.kind[item]
        new = (kind >= 0) & ~stat.visited[item]
        kind = jnp.clip(kind, min=0, max=params.demand.shape[0] - 1)
        before = stat.count[kind]
        demand = params.demand[kind]
        gain = jnp.minimum(before + 1, demand) - jnp.minimum(before, demand)
        after = ItemStat(stat.visited.at[item].set(True), stat.count.at[kind].add(new))
        return after, jnp.where(new, gain, 0)

    def value(self, params: ItemParams, stat: ItemStat) -> Array:
        """The number of items collected, up to the demands."""
        return jnp.sum(jnp.minimum(stat.count.astype(params.demand.dtype), params.demand))

    def features(self, params: ItemParams, stat: ItemStat) -> dict[str, Array]:
        """What a policy may see: remaining, float[K], demands still open; visited: float[V]."""
        remaining = jnp.maximum(params.demand - stat.count.astype(params.demand.dtype), 0)
        return {"remaining": remaining, "visited": stat.visited.astype(params.demand.dtype)}
