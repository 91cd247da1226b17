"""Modular set functions: a sum of weights over items.

Legend: `V` items, `n` items of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape, indices_below


@dataclass(frozen=True)
class Modular:
    """F(S) = sum of the weights of the visits; a revisit counts again. Params float[V], statistic float[].

    By default every weight is 1; check your own with `nonnegative`.
    """

    n_items: Size
    """Number of items V."""

    def __post_init__(self) -> None:
        check_fields(self)

    def default_params(self) -> Array:
        """Weight 1 for every item."""
        return jnp.ones(self.n_items, jnp.result_type(float))

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items have a weight."""
        return indices_below(items, self.n_items)

    def init(self, params: Array) -> Array:
        """The empty sum. Raises `UsageError` for parameters of another size."""
        check_shape(self, "weight", params, (self.n_items,))
        return jnp.zeros((), params.dtype)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """The weight of the item."""
        return params[item]

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """The sum with the item's weight, and that weight."""
        return stat + params[item], params[item]

    def value(self, params: Array, stat: Array) -> Array:
        """The sum of the weights."""
        return stat
