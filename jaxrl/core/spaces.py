"""Spaces of observations and actions: `Discrete`, `Box`, and dicts or tuples of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array, Key, PyTree


@dataclass(frozen=True)
class Discrete:
    """Integers `0 .. n - 1`, int32, shape ()."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Discrete.n: must be >= 1, got {self.n}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Always ()."""
        return ()

    @property
    def dtype(self) -> Any:
        """Always int32."""
        return np.int32

    def sample(self, key: Key) -> Array:
        """int32[], uniform."""
        return jax.random.randint(key, (), 0, self.n, jnp.int32)

    def contains(self, x: Array) -> Array:
        """bool[], whether `x` is an int32 scalar in range."""
        x = jnp.asarray(x)
        if x.shape != () or not jnp.issubdtype(x.dtype, jnp.integer):
            return jnp.asarray(False)
        return (x >= 0) & (x < self.n)


@dataclass(frozen=True)
class Box:
    """Arrays of one shape between `low` and `high`: scalars, or nested tuples of the full shape.

    Bounds are stored as floats or tuples, so that a space (and an environment) is hashable.
    """

    low: Any
    high: Any
    shape: tuple[int, ...]
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            bound = np.asarray(getattr(self, name), np.float64)
            if bound.shape not in ((), self.shape):
                raise ValueError(f"Box.{name}: shape {bound.shape} is neither () nor {self.shape}")
            object.__setattr__(self, name, _freeze(bound.tolist()))
        if not np.all(np.asarray(self.low) <= np.asarray(self.high)):
            raise ValueError("Box.low: must not exceed high")

    def sample(self, key: Key) -> Array:
        """`dtype[shape]`, uniform between finite bounds; unbounded sides are cut at +-1e3."""
        low = np.broadcast_to(np.maximum(np.asarray(self.low), -1e3), self.shape)
        high = np.broadcast_to(np.minimum(np.asarray(self.high), 1e3), self.shape)
        if np.issubdtype(self.dtype, np.integer):
            return jax.random.randint(key, self.shape, low, high + 1).astype(self.dtype)
        u = jax.random.uniform(key, self.shape, self.dtype)
        return jnp.asarray(low, self.dtype) + u * jnp.asarray(high - low, self.dtype)

    def contains(self, x: Array) -> Array:
        """bool[], whether `x` has the shape and lies within the bounds (NaN does not)."""
        x = jnp.asarray(x)
        if x.shape != self.shape:
            return jnp.asarray(False)
        low, high = jnp.asarray(np.asarray(self.low, x.dtype)), jnp.asarray(np.asarray(self.high, x.dtype))
        return jnp.all((x >= low) & (x <= high))


Space = Any  # Discrete, Box, or a dict or tuple of spaces


def is_space(x: Any) -> bool:
    """Whether `x` is a leaf space."""
    return isinstance(x, Discrete | Box)


def sample(space: Space, key: Key) -> PyTree:
    """One uniform element of a (nested) space."""
    leaves, treedef = jax.tree.flatten(space, is_leaf=is_space)
    if len(leaves) == 1:
        return treedef.unflatten([leaves[0].sample(key)])
    keys = jax.random.split(key, len(leaves))
    return treedef.unflatten([leaf.sample(k) for leaf, k in zip(leaves, keys, strict=True)])


def contains(space: Space, x: PyTree) -> Array:
    """bool[], whether `x` has the structure of the space and every leaf lies in its part."""
    leaves, treedef = jax.tree.flatten(space, is_leaf=is_space)
    try:
        values = treedef.flatten_up_to(x)
    except ValueError:
        return jnp.asarray(False)
    return jnp.all(jnp.stack([leaf.contains(v) for leaf, v in zip(leaves, values, strict=True)]))


def _freeze(x: Any) -> Any:
    return tuple(_freeze(v) for v in x) if isinstance(x, list) else x
