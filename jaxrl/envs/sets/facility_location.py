"""Facility location: every element is served by the item most similar to it.

Legend: `V` items, `U` elements of a universe, `n` items of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape, finite_weights, indices_below


@dataclass(frozen=True)
class FacilityLocation:
    """F(S) = sum_u max_{v in S} similarity[v, u]. Params: float[V, U] >= 0; statistic: float[U], the maxima.

    The default similarity is the identity; check your own with `similarities`.
    """

    n_items: Size
    """Number of items V."""
    n_universe: Size | None = None
    """Number of elements U; None for as many as there are items."""

    def __post_init__(self) -> None:
        check_fields(self)

    def default_params(self) -> Array:
        """Similarity 1 of each item and the element of its own index, 0 of others."""
        return jnp.eye(self.n_items, self.n_universe or self.n_items, dtype=jnp.result_type(float))

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items are rows of the similarity."""
        return indices_below(items, self.n_items)

    def init(self, params: Array) -> Array:
        """The statistic of the empty set: all maxima 0. Raises `UsageError` for parameters of other sizes."""
        check_shape(self, "similarity", params, (self.n_items, self.n_universe or self.n_items))
        return jnp.zeros(params.shape[1], params.dtype)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """The sum by which the maxima rise."""
        return jnp.sum(jnp.maximum(params[item] - stat, 0))

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """The maxima with the item's similarities, and the gain."""
        return jnp.maximum(stat, params[item]), self.gain(params, stat, item)

    def value(self, params: Array, stat: Array) -> Array:
        """The sum of the maxima."""
        return jnp.sum(stat)


def similarities(matrix: Any) -> Array:
    """Parameters of `FacilityLocation`, `matrix` `[V, U]`, in the default dtype, checked on the host.

    Raises `UsageError` for another shape, and for entries that are negative or NaN, or whose sum is not
    finite in that dtype.
    """
    if np.ndim(matrix) != 2:
        raise UsageError(f"similarities.matrix: shape {np.shape(matrix)} is not [V, U]")
    return jnp.asarray(finite_weights(matrix, "similarities.matrix"))
