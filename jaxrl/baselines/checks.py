"""Checks of a baseline that its annotations cannot state, because they depend on the environment."""

from __future__ import annotations

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.envs.base import Env


def check_weights(env: Env, w: Array | tuple[float, ...] | None) -> None:
    """Raises `UsageError` where the weights `[m]` do not fit the rewards of `env`; call while tracing."""
    if env.reward_dim is None and w is not None:
        raise UsageError(f"Hyper.w: {env.name} has scalar rewards, leave it None")
    if env.reward_dim is not None and np.shape(w) != (env.reward_dim,):
        raise UsageError(f"Hyper.w: {env.name} needs {env.reward_dim} weights, got shape {np.shape(w)}")
