"""Weighted coverage, from a matrix of what each item covers.

Legend: `V` items, `U` elements of a universe, `n` items of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape, indices_below, nonnegative


class CoverageParams(NamedTuple):
    """Parameters of `Coverage`.

    covers: bool[V, U], what each item covers; weight: float[U].
    """

    covers: Array
    weight: Array


@dataclass(frozen=True)
class Coverage:
    """F(S) = sum of weights of the elements that some item of S covers. Statistic: bool[U].

    By default each item covers the element of its own index, with weight 1, so that F is the number of
    distinct items. Check your own parameters with `coverage_params`.
    """

    n_items: Size
    """Number of items V."""
    n_universe: Size | None = None
    """Number of elements U; None for as many as there are items."""

    def __post_init__(self) -> None:
        check_fields(self)

    def default_params(self) -> CoverageParams:
        """Each item covers the element of its own index, with weight 1."""
        shape = (self.n_items, self.n_universe or self.n_items)
        return CoverageParams(jnp.eye(*shape, dtype=bool), jnp.ones(shape[1], jnp.result_type(float)))

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items are rows of `covers`."""
        return indices_below(items, self.n_items)

    def init(self, params: CoverageParams) -> Array:
        """The statistic of nothing covered. Raises `UsageError` for parameters of other sizes."""
        check_shape(self, "covers", params.covers, (self.n_items, self.n_universe or self.n_items))
        return jnp.zeros(params.weight.shape, bool)

    def gain(self, params: CoverageParams, stat: Array, item: Array) -> Array:
        """The weight of what is newly covered."""
        return jnp.sum(jnp.where(params.covers[item] & ~stat, params.weight, 0))

    def add(self, params: CoverageParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """The union with what the item covers, and the gain."""
        return stat | params.covers[item], self.gain(params, stat, item)

    def value(self, params: CoverageParams, stat: Array) -> Array:
        """The weight of what is covered."""
        return jnp.sum(jnp.where(stat, params.weight, 0))


def coverage_params(covers: Any, weight: Any = None) -> CoverageParams:
    """Parameters of `Coverage`, `covers` `[V, U]` of truth values and `weight` `[U]` (default 1), checked.

    Raises `UsageError` for other shapes, for entries of `covers` other than 0 and 1, and for weights that are
    negative or NaN, or not finite in the default dtype.
    """
    covers = np.asarray(covers)
    if covers.ndim != 2:
        raise UsageError(f"coverage_params.covers: shape {covers.shape} is not [V, U]")
    if not np.all((covers == 0) | (covers == 1)):
        raise UsageError("coverage_params.covers: must hold truth values, or 0 and 1 only")
    weight = np.ones(covers.shape[1]) if weight is None else weight
    return CoverageParams(
        jnp.asarray(covers, bool), nonnegative(weight, covers.shape[1:], "coverage_params.weight")
    )
