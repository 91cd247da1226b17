"""Concave functions of summed features.

Legend: `n` items of a ground set, `d` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape

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
