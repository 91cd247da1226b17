"""Modular rewards of places at times, and coverage with such a bonus.

Legend: `V` places, `U` elements of a universe, `H` steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.envs.sets.combinators import OfPlaces, Sum
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.protocol import Visit, check_shape


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
