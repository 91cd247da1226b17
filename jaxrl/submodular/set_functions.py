"""Submodular set functions as folds: statistics of fixed shape, so that they jit, vmap and scan.

A set function has `default_params`, `init`, `gain`, `add` and `value` (`jaxrl.envs.set_reward.SetFunction`).
This file adds to those of `jaxrl.envs` and names them all in one place:

    Coverage, GridCoverage, ItemCollection, LogDet, FacilityLocation, FeatureBased, Modular,
    Visits (modular in time and place), coverage_with_bonus

Legend: `n` items of a ground set, `V` places, `U` elements of a universe, `d` features, `H` steps, `k` items
chosen. A ground set is a pytree with leaves `[n, ...]`, whose entries are items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_take, tree_where
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.coverage_grid import GridCoverage, ItemCollection
from jaxrl.envs.set_reward import (
    Coverage,
    FacilityLocation,
    LogDet,
    Modular,
    SetFunction,
    Visit,
    check_capacity,
    check_shape,
    coverage_params,
    kernel_params,
    nonnegative,
    similarities,
)
from jaxrl.submodular.combinators import OfPlaces, Sum

__all__ = [
    "Coverage",
    "FacilityLocation",
    "FeatureBased",
    "FeatureParams",
    "GridCoverage",
    "ItemCollection",
    "LogDet",
    "Modular",
    "SetFunction",
    "Visit",
    "Visits",
    "coverage_params",
    "coverage_with_bonus",
    "curvature",
    "evaluate",
    "features",
    "gains",
    "kernel_params",
    "nonnegative",
    "similarities",
]

_CONCAVE = ("sqrt", "log1p", "cap")


class FeatureParams(NamedTuple):
    """feature: float[n, d] >= 0, of each item; weight: float[d] >= 0; cap: float[], () where phi has none."""

    feature: Array
    weight: Array
    cap: Array | tuple[()]


@dataclass(frozen=True)
class FeatureBased:
    """F(S) = sum_f weight_f phi(sum_{v in S} feature[v, f]); a revisit counts again. Statistic: float[d].

    phi: "sqrt", "log1p" or "cap", which is min(., cap). By default item v has feature v alone, with weight 1
    and cap 1; check your own with `features`.
    """

    n_items: int
    phi: str = "sqrt"

    def __post_init__(self) -> None:
        if self.n_items < 1:
            raise UsageError(f"FeatureBased.n_items: must be >= 1, got {self.n_items}")
        if self.phi not in _CONCAVE:
            raise UsageError(
                f"FeatureBased.phi: unknown {self.phi!r}; choose a concave function of {', '.join(_CONCAVE)}"
            )

    def default_params(self) -> FeatureParams:
        """See the class."""
        dtype = jnp.result_type(float)
        cap = jnp.ones((), dtype) if self.phi == "cap" else ()
        return FeatureParams(jnp.eye(self.n_items, dtype=dtype), jnp.ones(self.n_items, dtype), cap)

    def init(self, params: FeatureParams) -> Array:
        """All sums 0. Raises `UsageError` for other sizes, and for a cap where phi has none or lacks one."""
        check_shape(self, "feature", params.feature, (self.n_items, *params.weight.shape))
        if (self.phi == "cap") == isinstance(params.cap, tuple):
            raise UsageError(
                f'FeatureBased.phi: "{self.phi}", but params {"lack" if self.phi == "cap" else "have"} a cap;'
                ' phi="cap" and features(..., cap=...) belong together'
            )
        return jnp.zeros(params.weight.shape, params.weight.dtype)

    def gain(self, params: FeatureParams, stat: Array, item: Array) -> Array:
        """By how much the concave functions rise, without cancellation."""
        x = params.feature[item]
        if self.phi == "sqrt":
            root = jnp.sqrt(stat + x) + jnp.sqrt(stat)
            rise = jnp.where(root > 0, x / jnp.where(root > 0, root, 1), 0)
        elif self.phi == "log1p":
            rise = jnp.log1p(x / (1 + stat))
        else:
            rise = jnp.minimum(stat + x, params.cap) - jnp.minimum(stat, params.cap)
        return jnp.sum(params.weight * rise)

    def add(self, params: FeatureParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """Running sums."""
        return stat + params.feature[item], self.gain(params, stat, item)

    def value(self, params: FeatureParams, stat: Array) -> Array:
        """Sum of the concave functions."""
        if self.phi == "sqrt":
            phi = jnp.sqrt(stat)
        elif self.phi == "log1p":
            phi = jnp.log1p(stat)
        else:
            phi = jnp.minimum(stat, params.cap)
        return jnp.sum(params.weight * phi)


def features(feature: Any, weight: Any = None, cap: float | None = None) -> FeatureParams:
    """Host check of `FeatureBased` parameters, `feature` `[n, d]`, `weight` `[d]` (default 1).

    Raises `UsageError` for other shapes, for numbers below 0, and for a cap below 0.
    """
    feature = np.asarray(feature)
    if feature.ndim != 2:
        raise UsageError(f"features.feature: shape {feature.shape} is not [n, d]")
    weight = np.ones(feature.shape[1]) if weight is None else np.asarray(weight)
    if weight.shape != feature.shape[1:]:
        raise UsageError(f"features.weight: shape {weight.shape} must be [d] = {feature.shape[1:]}")
    for name, x in (("feature", feature), ("weight", weight), ("cap", np.array(0 if cap is None else cap))):
        if not np.all(x >= 0):
            raise UsageError(f"features.{name}: has negative or NaN entries, and F would not be monotone")
    dtype = jnp.result_type(float)
    return FeatureParams(
        jnp.asarray(feature, dtype),
        jnp.asarray(weight, dtype),
        () if cap is None else jnp.asarray(cap, dtype),
    )


@dataclass(frozen=True)
class Visits:
    """F(S) = sum of m[h, v] over the visits of S, items `Visit(h, v)`.

    Params: m, float[H + 1, V] >= 0, by default 1, check your own with `nonnegative`; statistic: float[].
    n_states: H + 1.
    """

    n_states: int
    n_places: int
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.n_states < 1 or self.n_places < 1:
            raise UsageError(
                f"Visits.n_states, n_places: must be >= 1, got {self.n_states} and {self.n_places}"
            )

    def default_params(self) -> Array:
        """See the class."""
        return jnp.ones((self.n_states, self.n_places), jnp.result_type(float))

    def init(self, params: Array) -> Array:
        """The empty sum. Raises `UsageError` for parameters of another size."""
        check_shape(self, "m", params, (self.n_states, self.n_places))
        return jnp.zeros((), params.dtype)

    def gain(self, params: Array, stat: Array, item: Visit) -> Array:
        """The visit's worth."""
        return params[item.h, item.v]

    def add(self, params: Array, stat: Array, item: Visit) -> tuple[Array, Array]:
        """The running sum."""
        gain = self.gain(params, stat, item)
        return stat + gain, gain

    def value(self, params: Array, stat: Array) -> Array:
        """The sum."""
        return stat


def coverage_with_bonus(n_states: int, n_places: int, n_universe: int | None = None) -> Sum:
    """Coverage by place plus a modular part by time and place: curvature below 1, on items `Visit`.

    The parameters of the parts are `CoverageParams` and float[n_states, n_places].
    """
    return Sum((OfPlaces(Coverage(n_places, n_universe)), Visits(n_states, n_places)))


# --- what holds for every set function --------------------------------------------------------------------


def evaluate(F: SetFunction, params: PyTree, items: PyTree, mask: Array | None = None) -> Array:
    """float[], F of the items `[T, ...]` where `mask` bool[T] is set, by folding them in their order."""
    if mask is None:
        mask = jnp.ones(jax.tree.leaves(items)[0].shape[:1], bool)

    def body(stat: PyTree, row: tuple[PyTree, Array]) -> tuple[PyTree, None]:
        item, taken = row
        return tree_where(taken, F.add(params, stat, item)[0], stat), None

    return F.value(params, jax.lax.scan(body, F.init(params), (items, mask))[0])


def gains(F: SetFunction, params: PyTree, stat: PyTree, ground: PyTree) -> Array:
    """float[n], the marginal gain of every item of `ground` `[n, ...]` over one set."""
    return jax.vmap(F.gain, (None, None, 0))(params, stat, ground)


def curvature(F: SetFunction, params: PyTree, ground: PyTree) -> Array:
    """float[], total curvature 1 - min_s F(s | S - s) / F({s}) over `ground` `[n, ...]`, where F({s}) > 0.

    0 for modular functions, 1 where some item is worthless beside all others. O(n^2) additions. Raises
    `UsageError` for more items than F can hold.

    Equation: conforti1984submodular [total curvature]
    """
    n = jax.tree.leaves(ground)[0].shape[0]
    check_capacity("curvature.ground", F, n)

    def last(i: Array) -> Array:
        def body(stat: PyTree, j: Array) -> tuple[PyTree, None]:
            return tree_where(j == i, stat, F.add(params, stat, tree_take(ground, j))[0]), None

        stat, _ = jax.lax.scan(body, F.init(params), jnp.arange(n))
        return F.gain(params, stat, tree_take(ground, i))

    alone = gains(F, params, F.init(params), ground)
    ratio = jax.lax.map(last, jnp.arange(n)) / jnp.where(alone > 0, alone, 1)
    return 1 - jnp.min(jnp.where(alone > 0, ratio, 1))
