"""Modular rewards of places at times, and coverage with such a bonus.

Legend: `V` places, `U` elements of a universe, `H` steps, `n` visits of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.combinators import OfPlaces, Sum
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.protocol import Visit, check_shape, indices_below


@dataclass(frozen=True)
class Visits:
    """F(S) = sum of m[h, v] over the visits of S, items `Visit(h, v)`.

    Params: m, float[H + 1, V] >= 0, by default 1, check your own with `nonnegative`; statistic: float[].
    """

    n_states: Size
    """Number of visited states H + 1, the first included."""
    n_places: Size
    """Number of places V."""
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)

    def default_params(self) -> Array:
        """Every visit is worth 1."""
        return jnp.ones((self.n_states, self.n_places), jnp.result_type(float))

    def holds(self, items: Visit) -> np.ndarray:
        """bool[n], which visits have a reward."""
        return indices_below(items.h, self.n_states) & indices_below(items.v, self.n_places)

    def init(self, params: Array) -> Array:
        """The empty sum. Raises `UsageError` for parameters of another size."""
        check_shape(self, "m", params, (self.n_states, self.n_places))
        return jnp.zeros((), params.dtype)

    def gain(self, params: Array, stat: Array, item: Visit) -> Array:
        """The reward of the visit."""
        return params[item.h, item.v]

    def add(self, params: Array, stat: Array, item: Visit) -> tuple[Array, Array]:
        """The sum with the visit's reward, and that reward."""
        gain = self.gain(params, stat, item)
        return stat + gain, gain

    def value(self, params: Array, stat: Array) -> Array:
        """The sum of the rewards."""
        return stat


def coverage_with_bonus(n_states: int, n_places: int, n_universe: int | None = None) -> Sum:
    """Coverage by place plus a modular part by time and place: curvature below 1, on items `Visit`.

    The parameters of the parts are `CoverageParams` and float[n_states, n_places].
    """
    return Sum((OfPlaces(Coverage(n_places, n_universe)), Visits(n_states, n_places)))
