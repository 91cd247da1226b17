"""Set functions made of set functions; each result is monotone and submodular if its parts are.

Legend: `p` parts, `n` items of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, NonNegative, Size, check_fields
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.base import float_dtype, integer, real
from jaxrl.envs.sets.protocol import SetFunction, Visit, check_shape


class SumParams(NamedTuple):
    """Parameters of `Sum`.

    weight: float[p] >= 0; parts: parameters of each part.
    """

    weight: Array
    parts: tuple[PyTree, ...]


@dataclass(frozen=True)
class Sum:
    """F(S) = sum_i weight_i F_i(S), all over the same items. Statistic: those of the parts."""

    parts: tuple[SetFunction, ...]
    """The functions F_i, at least one; all over places, or all over visits."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.parts:
            raise UsageError("Sum.parts: must hold at least one set function")
        if len({getattr(F, "timed", False) for F in self.parts}) > 1:
            raise UsageError("Sum.parts: some are over visits and some over places; wrap these in OfPlaces")

    @property
    def capacity(self) -> int | None:
        """The least capacity of the parts."""
        limits = [getattr(F, "capacity", None) for F in self.parts]
        return min((n for n in limits if n is not None), default=None)

    @property
    def timed(self) -> bool:
        """Whether the parts are over visits."""
        return getattr(self.parts[0], "timed", False)

    def holds(self, items: PyTree) -> np.ndarray:
        """bool[n], which items all parts know."""
        return np.logical_and.reduce([_held(F, items) for F in self.parts])

    def default_params(self) -> SumParams:
        """Weights 1; pass others through `nonnegative`."""
        parts = tuple(F.default_params() for F in self.parts)
        return SumParams(jnp.ones(len(self.parts), float_dtype(parts)), parts)

    def init(self, params: SumParams) -> tuple[PyTree, ...]:
        """The empty statistics of the parts. Raises `UsageError` for another number of weights."""
        check_shape(self, "weight", params.weight, (len(self.parts),))
        return tuple(F.init(p) for F, p in zip(self.parts, params.parts, strict=True))

    def gain(self, params: SumParams, stat: tuple[PyTree, ...], item: PyTree) -> Array:
        """The weighted sum of the parts' gains."""
        rows = zip(self.parts, params.parts, stat, strict=True)
        return params.weight @ jnp.stack([F.gain(p, s, item) for F, p, s in rows])

    def add(
        self, params: SumParams, stat: tuple[PyTree, ...], item: PyTree
    ) -> tuple[tuple[PyTree, ...], Array]:
        """Adds the item to every part."""
        rows = zip(self.parts, params.parts, stat, strict=True)
        after, gains = zip(*(F.add(p, s, item) for F, p, s in rows), strict=True)
        return after, params.weight @ jnp.stack(gains)

    def value(self, params: SumParams, stat: tuple[PyTree, ...]) -> Array:
        """The weighted sum of the parts' values."""
        rows = zip(self.parts, params.parts, stat, strict=True)
        return params.weight @ jnp.stack([F.value(p, s) for F, p, s in rows])


class _Around:
    """A function made of one other, F, which holds as many items, whatever the items of a window are."""

    F: SetFunction

    @property
    def capacity(self) -> int | None:
        """The capacity of F."""
        return getattr(self.F, "capacity", None)

    def holds(self, items: PyTree) -> np.ndarray:
        """bool[n], which items F knows."""
        return _held(self.F, items)


class CapParams(NamedTuple):
    """Parameters of `Truncated`.

    cap: float[] >= 0; F: parameters of the inner function.
    """

    cap: Array
    F: PyTree


@dataclass(frozen=True)
class Truncated(_Around):
    """min(F(S), cap), submodular because F is monotone and submodular. Statistic: that of F."""

    F: SetFunction
    """The function that is cut."""
    cap: NonNegative = 1.0
    """Default of the parameter: the largest value, in units of F."""

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def timed(self) -> bool:
        """Whether F is over visits."""
        return getattr(self.F, "timed", False)

    def default_params(self) -> CapParams:
        """The cap of the field, and the default parameters of F."""
        return CapParams(real(self.cap), self.F.default_params())

    def init(self, params: CapParams) -> PyTree:
        """The empty statistic of F."""
        return self.F.init(params.F)

    def gain(self, params: CapParams, stat: PyTree, item: PyTree) -> Array:
        """The part of F's gain that lies below the cap."""
        return self._cut(params, stat, self.F.gain(params.F, stat, item))

    def add(self, params: CapParams, stat: PyTree, item: PyTree) -> tuple[PyTree, Array]:
        """Adds to F, also above the cap."""
        after, gain = self.F.add(params.F, stat, item)
        return after, self._cut(params, stat, gain)

    def value(self, params: CapParams, stat: PyTree) -> Array:
        """The value of F, at most the cap."""
        return jnp.minimum(self.F.value(params.F, stat), params.cap)

    def _cut(self, params: CapParams, stat: PyTree, gain: Array) -> Array:
        return jnp.clip(params.cap - self.F.value(params.F, stat), min=0, max=gain)


class WindowParams(NamedTuple):
    """Parameters of `TimeWindow`.

    low, high: int32[], visits at low <= h < high count; F: parameters of the inner function.
    """

    low: Array
    high: Array
    F: PyTree


@dataclass(frozen=True)
class TimeWindow(_Around):
    """F of the visits at low <= h < high; items of F and of the result are `Visit(h, v)`."""

    F: SetFunction
    """The function, over visits."""
    low: Count
    """Default of the parameter: the first step that counts, in steps from the start of the episode."""
    high: Size
    """Default of the parameter: the first step that does not count any more, > low."""
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.low >= self.high:
            raise UsageError(f"TimeWindow.low, high: must be 0 <= low < high, got {self.low}, {self.high}")
        if not getattr(self.F, "timed", False):
            raise UsageError("TimeWindow.F: is over places, not visits; wrap it in OfPlaces")

    def default_params(self) -> WindowParams:
        """The window of the fields, and the default parameters of F."""
        return WindowParams(integer(self.low), integer(self.high), self.F.default_params())

    def init(self, params: WindowParams) -> PyTree:
        """The empty statistic of F."""
        return self.F.init(params.F)

    def gain(self, params: WindowParams, stat: PyTree, item: Visit) -> Array:
        """The gain of F inside the window, 0 outside."""
        return jnp.where(self._inside(params, item), self.F.gain(params.F, stat, item), 0)

    def add(self, params: WindowParams, stat: PyTree, item: Visit) -> tuple[PyTree, Array]:
        """The visit inside the window, nothing outside."""
        inside = self._inside(params, item)
        after, gain = self.F.add(params.F, stat, item)
        return tree_where(inside, after, stat), jnp.where(inside, gain, 0)

    def value(self, params: WindowParams, stat: PyTree) -> Array:
        """The value of F."""
        return self.F.value(params.F, stat)

    def _inside(self, params: WindowParams, item: Visit) -> Array:
        return (item.h >= params.low) & (item.h < params.high)


@dataclass(frozen=True)
class OfPlaces(_Around):
    """F of the places of visits: items `Visit(h, v)` instead of `v`. Parameters and statistic: those of F."""

    F: SetFunction
    """The function, over places."""
    timed: ClassVar[bool] = True

    def holds(self, items: Visit) -> np.ndarray:
        """bool[n], which visits are of places that F knows."""
        return _held(self.F, items.v)

    def default_params(self) -> PyTree:
        """The default parameters of F."""
        return self.F.default_params()

    def init(self, params: PyTree) -> PyTree:
        """The empty statistic of F."""
        return self.F.init(params)

    def gain(self, params: PyTree, stat: PyTree, item: Visit) -> Array:
        """The gain of the place."""
        return self.F.gain(params, stat, item.v)

    def add(self, params: PyTree, stat: PyTree, item: Visit) -> tuple[PyTree, Array]:
        """Adds the place."""
        return self.F.add(params, stat, item.v)

    def value(self, params: PyTree, stat: PyTree) -> Array:
        """The value of F."""
        return self.F.value(params, stat)


def _held(F: SetFunction, items: Any) -> np.ndarray:
    """bool[n], which items F knows; all where F does not say."""
    return F.holds(items) if hasattr(F, "holds") else np.ones(len(jax.tree.leaves(items)[0]), bool)


def stack_visits(n_states: int, n_places: int) -> Visit:
    """The ground set of all visits, leaves int32[n_states * n_places], place fastest."""
    h, v = jnp.divmod(jnp.arange(n_states * n_places, dtype=jnp.int32), n_places)
    return jax.tree.map(lambda x: x.astype(jnp.int32), Visit(h, v))
