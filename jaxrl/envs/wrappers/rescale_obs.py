"""Observations in units of their bounds."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.wrappers.wrapper import Wrapper, box_bounds, check_flat_box


@dataclass(frozen=True)
class RescaleObs(Wrapper):
    """Observations float[n], each coordinate mapped from its bounds to [-1, 1]; nothing is clipped.

    Raises `UsageError` for observations that are no box of floats [n] with finite bounds, low < high.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        space = self.env.observation_space
        check_flat_box("RescaleObs", space)
        low, high = box_bounds(space)
        if not np.all(np.isfinite(low) & np.isfinite(high) & (low < high)):
            raise UsageError(
                f"RescaleObs: needs finite bounds with low < high, got {space}; standardise such"
                " observations where they are learned from instead"
            )

    @property
    def observation_space(self) -> Box:
        """From -1 to 1."""
        inner = self.env.observation_space
        return Box(-1.0, 1.0, inner.shape, inner.dtype)

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Rescaled."""
        return inner, self.rescale(obs)

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """Rescaled."""
        return inner, out._replace(obs=self.rescale(out.obs))

    def rescale(self, obs: Array) -> Array:
        """Observations [n] of the inner environment, in units of their bounds."""
        middle, half = self._affine(obs)
        return (obs - middle) / half

    def restore(self, obs: Array) -> Array:
        """Observations [n] of the inner environment again, for example to relabel rows with its rewards."""
        middle, half = self._affine(obs)
        return middle + half * obs

    def _affine(self, obs: Array) -> tuple[Array, Array]:
        low, high = (jnp.asarray(x, obs.dtype) for x in box_bounds(self.env.observation_space))
        return (high + low) / 2, (high - low) / 2


rescale_obs = RescaleObs
