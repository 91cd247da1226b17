"""Actions clipped to the bounds of their space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array
from jaxrl.envs.base import (
    Finite,
)
from jaxrl.envs.wrappers.wrapper import Wrapper, box_bounds


@dataclass(frozen=True)
class ClipAction(Wrapper):
    """Box actions are clipped to the bounds of their space before they are applied."""

    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.env.action_space, Box):
            raise UsageError(f"ClipAction.env: {self.env.name} needs a Box action space")

    def map_action(self, action: Array) -> Array:
        """Within the bounds."""
        low, high = box_bounds(self.env.action_space)
        return jnp.clip(action, jnp.asarray(low, action.dtype), jnp.asarray(high, action.dtype))


clip_action = ClipAction
