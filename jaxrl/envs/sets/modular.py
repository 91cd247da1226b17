"""Modular set functions: a sum of weights over distinct items."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from jaxrl.core.errors import check_sizes
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape


@dataclass(frozen=True)
class Modular:
    """F(S) = sum of the weights of the visits; a revisit counts again. Params float[V], statistic float[].

    Check your own weights with `nonnegative`.
    """

    n_items: int

    def __post_init__(self) -> None:
        check_sizes(self, "n_items")

    def default_params(self) -> Array:
        """Weight 1."""
        return jnp.ones(self.n_items, jnp.result_type(float))

    def init(self, params: Array) -> Array:
        """The empty sum. Raises `UsageError` for parameters of another size."""
        check_shape(self, "weight", params, (self.n_items,))
        return jnp.zeros((), params.dtype)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """The item's weight."""
        return params[item]

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """The running sum."""
        return stat + params[item], params[item]

    def value(self, params: Array, stat: Array) -> Array:
        """The sum."""
        return stat
