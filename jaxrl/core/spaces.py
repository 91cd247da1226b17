"""Spaces of observations and actions: `Discrete`, `Box`, and dicts or tuples of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Range, check_value
from jaxrl.core.types import Array, Key, PyTree

_Cardinality = Annotated[int, Range(1, 2**31 - 1)]


@dataclass(frozen=True)
class Discrete:
    """Integers `0 .. n - 1`, int32, shape (). Raises `UsageError` for n outside of [1, 2^31)."""

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", check_value("Discrete.n", self.n, _Cardinality))

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

    Bounds are stored as floats or tuples, so that a space (and an environment) is hashable; infinite ones
    stand for none.

    Raises `UsageError` for a dtype that is neither of floats nor of integers, bounds that are no numbers, of
    another shape, in the wrong order, or beyond the range of the dtype (of integers: of 32 bits, the widest
    that are drawn), and for integers where there is none between the bounds.
    """

    low: Any
    high: Any
    shape: tuple[int, ...]
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_value("Box.shape", self.shape, tuple[Count, ...]))
        _check_dtype(self.dtype)
        for name in ("low", "high"):
            bound = _as_bound(name, getattr(self, name))
            if bound.shape not in ((), self.shape):
                raise UsageError(f"Box.{name}: shape {bound.shape} is neither () nor {self.shape}")
            if np.any(np.isfinite(bound) & ~_holds(self.dtype, bound)):
                raise UsageError(f"Box.{name}: beyond the range of {np.dtype(self.dtype)}, got {bound}")
            object.__setattr__(self, name, _freeze(bound.tolist()))
        low, high = np.asarray(self.low), np.asarray(self.high)
        if not np.all((low <= high) & (low < np.inf) & (high > -np.inf)):
            raise UsageError("Box.low: must not exceed high; no number is above inf or below -inf")
        if np.issubdtype(self.dtype, np.integer) and np.any(np.ceil(low) > np.floor(high)):
            raise UsageError(f"Box.low: there is no integer between {self.low} and {self.high}")

    def sample(self, key: Key) -> Array:
        """`dtype[shape]`, as gymnasium draws: every coordinate by itself, according to its bounds.

        Uniform between two finite bounds; beyond a single one, its distance is exponential with mean 1;
        standard normal without bounds. Integers are rounded down.
        """
        low, high = (np.broadcast_to(np.asarray(b), self.shape) for b in (self.low, self.high))
        below, above = np.isfinite(low), np.isfinite(high)
        if np.all(below & above):
            return self._uniform(key, low, high)
        dtype = jnp.float32 if np.issubdtype(self.dtype, np.integer) else self.dtype
        near_low, near_high = (jnp.asarray(np.where(np.isfinite(b), b, 0), dtype) for b in (low, high))
        k_uniform, k_exponential, k_normal = jax.random.split(key, 3)
        distance = jax.random.exponential(k_exponential, self.shape, dtype)
        unbounded = jax.random.normal(k_normal, self.shape, dtype)
        one_sided = jnp.where(below, near_low + distance, near_high - distance)
        both = self._uniform(k_uniform, np.where(below & above, low, 0), np.where(below & above, high, 0))
        drawn = jnp.where(below | above, one_sided, unbounded)
        if np.issubdtype(self.dtype, np.integer):
            drawn = jnp.floor(drawn).astype(self.dtype)
        return jnp.where(below & above, both, drawn)

    def _uniform(self, key: Key, low: np.ndarray, high: np.ndarray) -> Array:
        """Uniform between finite bounds `[shape]`."""
        if np.issubdtype(self.dtype, np.integer):
            return _integers(key, np.ceil(low), np.floor(high), self.dtype)
        u = jax.random.uniform(key, self.shape, self.dtype)
        width = high - low
        if np.all(width <= np.finfo(self.dtype).max):
            return jnp.asarray(low, self.dtype) + u * jnp.asarray(width, self.dtype)
        return (1 - u) * jnp.asarray(low, self.dtype) + u * jnp.asarray(high, self.dtype)

    def contains(self, x: Array) -> Array:
        """bool[], whether `x` has the shape and lies within the bounds (NaN does not)."""
        x = jnp.asarray(x)
        if x.shape != self.shape:
            return jnp.asarray(False)
        low, high = np.asarray(self.low), np.asarray(self.high)
        if not np.issubdtype(x.dtype, np.integer):
            return jnp.all((x >= low.astype(x.dtype)) & (x <= high.astype(x.dtype)))
        limits = np.iinfo(x.dtype)
        least, most = (
            np.clip(np.where(np.isfinite(b), b, 0), limits.min, limits.max).astype(x.dtype)
            for b in (np.ceil(low), np.floor(high))
        )
        return jnp.all(((x >= least) | np.isinf(low)) & ((x <= most) | np.isinf(high)))


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


def _check_dtype(dtype: Any) -> None:
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise UsageError(f"Box.dtype: must be a type of numbers, got {dtype!r}") from error
    if not jnp.issubdtype(kind, jnp.floating) and not jnp.issubdtype(kind, jnp.integer):
        raise UsageError(f"Box.dtype: must be a type of floats or of integers, got {kind}")


def _as_bound(name: str, bound: Any) -> np.ndarray:
    try:
        return np.asarray(bound, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Box.{name}: must be numbers of the shape of the box, got {bound!r:.80}") from error


def _holds(dtype: Any, bound: np.ndarray) -> np.ndarray:
    """Whether bounds are finite in a dtype; of integers of 64 bits it has the range of 32."""
    if not np.issubdtype(dtype, np.integer):
        with np.errstate(over="ignore"):
            return np.isfinite(bound.astype(dtype))
    limits = np.iinfo(f"{np.dtype(dtype).kind}{min(np.dtype(dtype).itemsize, 4)}")
    return (bound >= limits.min) & (bound <= limits.max)


def _integers(key: Key, low: np.ndarray, high: np.ndarray, dtype: Any) -> Array:
    """Integers in `[low, high]`, both ends included, over the whole range of int32."""
    if np.all(high - low < 2**31 - 1) and np.all(high < 2**31 - 1):
        return jax.random.randint(key, low.shape, low, high + 1).astype(dtype)
    # `jax.random.randint` is not uniform over more than 2^31 numbers. A candidate here is at most twice too
    # large, so that 64 of them are with probability 2^-64; the first that fits is added with wrapping.
    largest = (high - low).astype(np.int64)
    shift = jnp.asarray(32 - np.maximum(np.ceil(np.log2(largest + 1)), 1), jnp.uint32)
    candidates = jax.random.bits(key, (64, *low.shape), jnp.uint32) >> shift[None]
    fits = candidates <= jnp.asarray(largest.astype(np.uint32))[None]
    offset = jnp.take_along_axis(candidates, jnp.argmax(fits, axis=0)[None], axis=0)[0]
    start = jnp.asarray(low.astype(np.int64).astype(np.uint32))
    return jax.lax.bitcast_convert_type(start + offset, jnp.int32).astype(dtype)


def _freeze(x: Any) -> Any:
    return tuple(_freeze(v) for v in x) if isinstance(x, list) else x
