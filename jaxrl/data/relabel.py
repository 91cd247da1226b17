"""Rewards that are chosen after a dataset was recorded, as functions of its rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, PyTree
from jaxrl.data.dataset import Dataset

Reward = Callable[[PyTree, PyTree, PyTree], Any]


def relabel(data: Dataset, reward: Reward, name: str | None = None) -> Dataset:
    """The same transitions with another reward, `reward(obs, action, next_obs)` of one row, float[] or [m].

    Ends of episodes stay as they were recorded: a reward knows nothing of terminations and time limits. The
    metadata gain `("reward", name)`, by default the function's own name, in place of an earlier one. A reward
    of the state that a step reaches reads `next_obs`, and then equals the one that the environment with this
    reward would have recorded; D4RL's maze2d pays for `obs`, one step late.

    Compiled once per function and shapes. Raises `UsageError` for a function that reads what the rows do not
    have, that returns no number or vector, or that is not finite in a row that counts.
    """
    name = getattr(reward, "__name__", "<lambda>") if name is None else name
    if not name or name == "<lambda>":
        raise UsageError("name: the metadata name the reward; pass name=... for a function without a name")
    if not data.size:
        raise UsageError("data: has no rows; give at least one transition")
    _check_fields(data, reward, name)
    try:
        values = _values(reward, data.obs, data.action, data.next_obs)
    except (AttributeError, TypeError) as error:
        raise UsageError(f"{_cannot(data, name)} ({error})") from error
    if not hasattr(values, "ndim") or values.ndim not in (1, 2) or jnp.iscomplexobj(values):
        shape = jax.tree.map(lambda x: x.shape[1:], values)
        raise UsageError(f"reward: {name} returns {shape} per row; return a number, or a vector of rewards")
    counted = np.ones(data.size, bool) if data.mask is None else np.asarray(data.mask) > 0
    bad = counted & ~np.isfinite(np.asarray(values)).reshape(data.size, -1).all(1)
    if bad.any():
        raise UsageError(f"reward: {name} is not finite in row {np.flatnonzero(bad)[0]}; bound it")
    kept = tuple(entry for entry in data.meta if entry[0] != "reward")
    return data.replace(reward=values.astype(jnp.float32), meta=(*kept, ("reward", name)))


@partial(jax.jit, static_argnums=0)
def _values(reward: Reward, obs: PyTree, action: PyTree, next_obs: PyTree) -> Any:
    def row(*parts: PyTree) -> Array:
        return jax.tree.map(jnp.asarray, reward(*parts))

    return jax.vmap(row)(obs, action, next_obs)


def _check_fields(data: Dataset, reward: Reward, name: str) -> None:
    """Raises `UsageError` where the first row lacks an entry: jax clamps an index beyond the end silently."""
    first = jax.tree.map(lambda x: np.asarray(x[0]), (data.obs, data.action, data.next_obs))
    try:
        with contextlib.suppress(AttributeError, TypeError):  # what arrays of numpy cannot, tracing decides
            reward(*first)
    except (IndexError, KeyError) as error:
        raise UsageError(f"{_cannot(data, name)} ({error})") from error


def _cannot(data: Dataset, name: str) -> str:
    shapes = jax.tree.map(lambda x: list(x.shape[1:]), (data.obs, data.action))
    return f"reward: {name} cannot be computed from rows with obs {shapes[0]} and action {shapes[1]}"
