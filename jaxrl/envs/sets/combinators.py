"""Set functions made of set functions; each result is monotone and submodular if its parts are.

Legend: `n` parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.base import float_dtype, integer, real
from jaxrl.envs.sets.protocol import SetFunction, Visit, check_shape


class SumParams(NamedTuple):
    """weight: float[n] >= 0; parts: parameters of each part."""

    weight: Array
    parts: tuple[PyTree, ...]


@dataclass(frozen=True)
class Sum:
    """F(S) = sum_i weight_i F_i(S), all over the same items. Statistic: those of the parts."""

    parts: tuple[SetFunction, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise UsageError("Sum.parts: must hold at least one set function")
        if len({getattr(F, "timed", False) for F in self.parts}) > 1:
            raise UsageError("Sum.parts: some are over visits and some over places; wrap these in OfPlaces")

    @property
    def capacity(self) -> int | None:
        """The least of the parts."""
        limits = [getattr(F, "capacity", None) for F in self.parts]
        return min((n for n in limits if n is not None), default=None)

    @property
    def timed(self) -> bool:
        """As the parts."""
        return getattr(self.parts[0], "timed", False)

    def default_params(self) -> SumParams:
        """Weights 1; pass others through `nonnegative`."""
        parts = tuple(F.default_params() for F in self.parts)
        return SumParams(jnp.ones(len(self.parts), float_dtype(parts)), parts)

    def init(self, params: SumParams) -> tuple[PyTree, ...]:
        """Empty parts. Raises `UsageError` for another number of weights."""
        check_shape(self, "weight", params.weight, (len(self.parts),))
        return tuple(F.init(p) for F, p in zip(self.parts, params.parts, strict=True))

    def gain(self, params: SumParams, stat: tuple[PyTree, ...], item: PyTree) -> Array:
        """Weighted sum of gains."""
        rows = zip(self.parts, params.parts, stat, strict=True)
        return params.weight @ jnp.stack([F.gain(p, s, item) for F, p, s in rows])

    def add(
        self, params: SumParams, stat: tuple[PyTree, ...], item: PyTree
    ) -> tuple[tuple[PyTree, ...], Array]:
        """Every part."""
        rows = zip(self.parts, params.parts, stat, strict=True)
        after, gains = zip(*(F.add(p, s, item) for F, p, s in rows), strict=True)
        return after, params.weight @ jnp.stack(gains)

    def value(self, params: SumParams, stat: tuple[PyTree, ...]) -> Array:
        """Weighted sum of values."""
        rows = zip(self.parts, params.parts, stat, strict=True)
        return params.weight @ jnp.stack([F.value(p, s) for F, p, s in rows])


class _Around:
    """A function made of one other, F, which holds as many items, whatever the items of a window are."""

    F: SetFunction

    @property
    def capacity(self) -> int | None:
        """That of F."""
        return getattr(self.F, "capacity", None)


class CapParams(NamedTuple):
    """cap: float[] >= 0; F: parameters of the inner function."""

    cap: Array
    F: PyTree


@dataclass(frozen=True)
class Truncated(_Around):
    """min(F(S), cap), submodular because F is monotone and submodular. Statistic: that of F.

    cap: default of the parameter.
    """

    F: SetFunction
    cap: float = 1.0

    def __post_init__(self) -> None:
        if not self.cap >= 0:
            raise UsageError(f"Truncated.cap: must be >= 0, got {self.cap}")

    @property
    def timed(self) -> bool:
        """As F."""
        return getattr(self.F, "timed", False)

    def default_params(self) -> CapParams:
        """See the class."""
        return CapParams(real(self.cap), self.F.default_params())

    def init(self, params: CapParams) -> PyTree:
        """Empty."""
        return self.F.init(params.F)

    def gain(self, params: CapParams, stat: PyTree, item: PyTree) -> Array:
        """The part of the gain below the cap."""
        return self._cut(params, stat, self.F.gain(params.F, stat, item))

    def add(self, params: CapParams, stat: PyTree, item: PyTree) -> tuple[PyTree, Array]:
        """Goes on counting above the cap."""
        after, gain = self.F.add(params.F, stat, item)
        return after, self._cut(params, stat, gain)

    def value(self, params: CapParams, stat: PyTree) -> Array:
        """At most the cap."""
        return jnp.minimum(self.F.value(params.F, stat), params.cap)

    def _cut(self, params: CapParams, stat: PyTree, gain: Array) -> Array:
        return jnp.clip(params.cap - self.F.value(params.F, stat), min=0, max=gain)


class WindowParams(NamedTuple):
    """low, high: int32[], visits at low <= h < high count; F: parameters of the inner function."""

    low: Array
    high: Array
    F: PyTree


@dataclass(frozen=True)
class TimeWindow(_Around):
    """F of the visits at low <= h < high; items of F and of the result are `Visit(h, v)`.

    low, high: defaults of the parameters.
    """

    F: SetFunction
    low: int
    high: int
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise UsageError(f"TimeWindow.low, high: must be 0 <= low < high, got {self.low}, {self.high}")
        if not getattr(self.F, "timed", False):
            raise UsageError("TimeWindow.F: is over places, not visits; wrap it in OfPlaces")

    def default_params(self) -> WindowParams:
        """See the class."""
        return WindowParams(integer(self.low), integer(self.high), self.F.default_params())

    def init(self, params: WindowParams) -> PyTree:
        """Empty."""
        return self.F.init(params.F)

    def gain(self, params: WindowParams, stat: PyTree, item: Visit) -> Array:
        """0 outside the window."""
        return jnp.where(self._inside(params, item), self.F.gain(params.F, stat, item), 0)

    def add(self, params: WindowParams, stat: PyTree, item: Visit) -> tuple[PyTree, Array]:
        """Nothing outside the window."""
        inside = self._inside(params, item)
        after, gain = self.F.add(params.F, stat, item)
        return tree_where(inside, after, stat), jnp.where(inside, gain, 0)

    def value(self, params: WindowParams, stat: PyTree) -> Array:
        """That of F."""
        return self.F.value(params.F, stat)

    def _inside(self, params: WindowParams, item: Visit) -> Array:
        return (item.h >= params.low) & (item.h < params.high)


@dataclass(frozen=True)
class OfPlaces(_Around):
    """F of the places of visits: items `Visit(h, v)` instead of `v`. Parameters and statistic: those of F."""

    F: SetFunction
    timed: ClassVar[bool] = True

    def default_params(self) -> PyTree:
        """Those of F."""
        return self.F.default_params()

    def init(self, params: PyTree) -> PyTree:
        """Empty."""
        return self.F.init(params)

    def gain(self, params: PyTree, stat: PyTree, item: Visit) -> Array:
        """Of the place."""
        return self.F.gain(params, stat, item.v)

    def add(self, params: PyTree, stat: PyTree, item: Visit) -> tuple[PyTree, Array]:
        """The place."""
        return self.F.add(params, stat, item.v)

    def value(self, params: PyTree, stat: PyTree) -> Array:
        """That of F."""
        return self.F.value(params, stat)


def stack_visits(n_states: int, n_places: int) -> Visit:
    """The ground set of all visits, leaves int32[n_states * n_places], place fastest."""
    h, v = jnp.divmod(jnp.arange(n_states * n_places, dtype=jnp.int32), n_places)
    return jax.tree.map(lambda x: x.astype(jnp.int32), Visit(h, v))
