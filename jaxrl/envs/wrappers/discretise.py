"""Finitely many actions in place of a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array
from jaxrl.envs.base import (
    Finite,
)
from jaxrl.envs.wrappers.wrapper import Wrapper, box_bounds


@dataclass(frozen=True)
class Discretise(Wrapper):
    """Box actions as Discrete(bins ** d): a grid from low to high, ends included, last axis fastest."""

    bins: Annotated[int, Range(2)]
    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        space = self.env.action_space
        if not isinstance(space, Box) or not np.all(np.isfinite(box_bounds(space))):
            raise UsageError(f"Discretise.env: {self.env.name} needs a Box action space with finite bounds")

    @property
    def action_space(self) -> Discrete:
        """Every combination of the values of the coordinates, one index each."""
        return Discrete(self.bins ** int(np.prod(self.env.action_space.shape)))

    def map_action(self, action: Array) -> Array:
        """The grid point."""
        space = self.env.action_space
        low, high = box_bounds(space)
        digits = jnp.unravel_index(action, (self.bins,) * int(np.prod(space.shape)))
        part = jnp.stack(digits).reshape(space.shape).astype(space.dtype) / (self.bins - 1)
        return jnp.asarray(low, space.dtype) + part * jnp.asarray(high - low, space.dtype)


discretise = Discretise
