"""Facility location: every element is served by the item most similar to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape


@dataclass(frozen=True)
class FacilityLocation:
    """F(S) = sum_u max_{v in S} similarity[v, u]. Params: float[V, U] >= 0; statistic: float[U], the maxima.

    n_universe: U, default V. The default similarity is the identity; check your own with `similarities`.
    """

    n_items: int
    n_universe: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "n_items", "n_universe")

    def default_params(self) -> Array:
        """See the class."""
        return jnp.eye(self.n_items, self.n_universe or self.n_items, dtype=jnp.result_type(float))

    def init(self, params: Array) -> Array:
        """All maxima 0. Raises `UsageError` for parameters of other sizes."""
        check_shape(self, "similarity", params, (self.n_items, self.n_universe or self.n_items))
        return jnp.zeros(params.shape[1], params.dtype)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """By how much the maxima rise."""
        return jnp.sum(jnp.maximum(params[item] - stat, 0))

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """Running maxima."""
        return jnp.maximum(stat, params[item]), self.gain(params, stat, item)

    def value(self, params: Array, stat: Array) -> Array:
        """Sum of the maxima."""
        return jnp.sum(stat)


def similarities(matrix: Any) -> Array:
    """Host check of `FacilityLocation` parameters; raises `UsageError` for negative entries."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise UsageError(f"similarities.matrix: shape {matrix.shape} is not [V, U]")
    if not np.all(matrix >= 0):
        raise UsageError("similarities.matrix: has negative or NaN entries, and F would not be monotone")
    return jnp.asarray(matrix, jnp.result_type(float))
