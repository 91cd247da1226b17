"""What every configuration of a baseline must satisfy, said in one way."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.types import Array
from jaxrl.envs.base import Env
from jaxrl.nets.net import ACTIVATIONS


def check_fields(config: Any, sizes: tuple[str, ...]) -> None:
    """Raises `UsageError` where `sizes`, `widths`, `activation` or, if it has one, `memory` make no sense."""
    check_sizes(config, *sizes)
    if any(width < 1 for width in config.widths):
        raise UsageError(f"Config.widths: must all be >= 1, got {config.widths}")
    if config.activation not in ACTIVATIONS:
        raise UsageError(f"Config.activation: {config.activation!r} is none of {', '.join(ACTIVATIONS)}")
    if getattr(config, "memory", 0) < 0:
        raise UsageError(f"Config.memory: the width of the GRU must be >= 0, got {config.memory}")


def check_weights(env: Env, w: Array | None) -> None:
    """Raises `UsageError` where the weights `[m]` do not fit the rewards of `env`; call while tracing."""
    if env.reward_dim is None and w is not None:
        raise UsageError(f"Hyper.w: {env.name} has scalar rewards, leave it None")
    if env.reward_dim is not None and np.shape(w) != (env.reward_dim,):
        raise UsageError(f"Hyper.w: {env.name} needs {env.reward_dim} weights, got shape {np.shape(w)}")
