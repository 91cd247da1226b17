"""Concave functions of summed features.

Legend: `n` items of a ground set, `d` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape, indices_below, nonnegative


class FeatureParams(NamedTuple):
    """Parameters of `FeatureBased`.

    feature: float[n, d] >= 0, of each item; weight: float[d] >= 0; cap: float[], () where phi has none.
    """

    feature: Array
    weight: Array
    cap: Array | tuple[()]


@dataclass(frozen=True)
class FeatureBased:
    """F(S) = sum_f weight_f phi(sum_{v in S} feature[v, f]); a revisit counts again. Statistic: float[d].

    By default item v has feature v alone, with weight 1 and cap 1; check your own with `features`.
    """

    n_items: Size
    """Number of items n."""
    phi: Literal["sqrt", "log1p", "cap"] = "sqrt"
    """The concave function; "cap" is min(., cap)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def default_params(self) -> FeatureParams:
        """Item v has feature v alone, with weight 1; cap 1."""
        dtype = jnp.result_type(float)
        cap = jnp.ones((), dtype) if self.phi == "cap" else ()
        return FeatureParams(jnp.eye(self.n_items, dtype=dtype), jnp.ones(self.n_items, dtype), cap)

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items have features."""
        return indices_below(items, self.n_items)

    def init(self, params: FeatureParams) -> Array:
        """The statistic of the empty set: all sums 0.

        Raises `UsageError` for other sizes, and for a cap where phi has none or lacks one.
        """
        check_shape(self, "feature", params.feature, (self.n_items, *params.weight.shape))
        if (self.phi == "cap") == isinstance(params.cap, tuple):
            raise UsageError(
                f'FeatureBased.phi: "{self.phi}", but params {"lack" if self.phi == "cap" else "have"} a cap;'
                ' phi="cap" and features(..., cap=...) belong together'
            )
        return jnp.zeros(params.weight.shape, params.weight.dtype)

    def gain(self, params: FeatureParams, stat: Array, item: Array) -> Array:
        """The sum by which the concave functions rise, without cancellation."""
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
        """The sums with the item's features, and the gain."""
        return stat + params.feature[item], self.gain(params, stat, item)

    def value(self, params: FeatureParams, stat: Array) -> Array:
        """The weighted sum of the concave functions."""
        if self.phi == "sqrt":
            phi = jnp.sqrt(stat)
        elif self.phi == "log1p":
            phi = jnp.log1p(stat)
        else:
            phi = jnp.minimum(stat, params.cap)
        return jnp.sum(params.weight * phi)


def features(feature: Any, weight: Any = None, cap: float | None = None) -> FeatureParams:
    """Parameters of `FeatureBased`, `feature` `[n, d]` and `weight` `[d]` (default 1), checked on the host.

    Raises `UsageError` for other shapes, and for numbers below 0, NaN, or not finite in the default dtype.
    """
    if np.ndim(feature) != 2:
        raise UsageError(f"features.feature: shape {np.shape(feature)} is not [n, d]")
    d = np.shape(feature)[1]
    weight = np.ones(d) if weight is None else weight
    if np.shape(weight) != (d,):
        raise UsageError(f"features.weight: shape {np.shape(weight)} must be [d] = {(d,)}")
    return FeatureParams(
        nonnegative(feature, name="features.feature"),
        nonnegative(weight, name="features.weight"),
        () if cap is None else nonnegative(cap, (), "features.cap"),
    )
