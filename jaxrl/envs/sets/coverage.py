"""Weighted coverage, from a matrix of what each item covers.

Legend: `V` items, `U` elements of a universe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape, nonnegative


class CoverageParams(NamedTuple):
    """covers: bool[V, U], what each item covers; weight: float[U]."""

    covers: Array
    weight: Array


@dataclass(frozen=True)
class Coverage:
    """F(S) = sum of weights of the elements that some item of S covers. Statistic: bool[U].

    n_universe: U, default V. By default each item covers the element of its own index, with weight 1: the
    number of distinct items. Check your own parameters with `coverage_params`.
    """

    n_items: int
    n_universe: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "n_items", "n_universe")

    def default_params(self) -> CoverageParams:
        """See the class."""
        shape = (self.n_items, self.n_universe or self.n_items)
        return CoverageParams(jnp.eye(*shape, dtype=bool), jnp.ones(shape[1], jnp.result_type(float)))

    def init(self, params: CoverageParams) -> Array:
        """Nothing covered. Raises `UsageError` for parameters of other sizes."""
        check_shape(self, "covers", params.covers, (self.n_items, self.n_universe or self.n_items))
        return jnp.zeros(params.weight.shape, bool)

    def gain(self, params: CoverageParams, stat: Array, item: Array) -> Array:
        """Weight of what is newly covered."""
        return jnp.sum(jnp.where(params.covers[item] & ~stat, params.weight, 0))

    def add(self, params: CoverageParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """Union."""
        return stat | params.covers[item], self.gain(params, stat, item)

    def value(self, params: CoverageParams, stat: Array) -> Array:
        """Weight covered."""
        return jnp.sum(jnp.where(stat, params.weight, 0))


def coverage_params(covers: Any, weight: Any = None) -> CoverageParams:
    """Host check of `Coverage` parameters, `covers` `[V, U]` of truth values, `weight` `[U]` (default 1).

    Raises `UsageError` for other shapes and for weights that are negative or NaN.
    """
    covers = np.asarray(covers)
    if covers.ndim != 2:
        raise UsageError(f"coverage_params.covers: shape {covers.shape} is not [V, U]")
    weight = np.ones(covers.shape[1]) if weight is None else weight
    return CoverageParams(
        jnp.asarray(covers, bool), nonnegative(weight, covers.shape[1:], "coverage_params.weight")
    )
