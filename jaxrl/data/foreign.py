"""What loaders of foreign formats share: actions inside their space, successors where a file has none.

Legend: `n` rows, `E` episodes. Everything here runs on the host, once per file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import CorruptInput
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import PyTree
from jaxrl.data.dataset import Dataset, Meta, first_bad, from_arrays

MARGIN = 1e-5  # of half the range: the density of a squashed policy is infinite at the bounds


def finish(
    fields: Mapping[str, PyTree], source: Path | str, action_space: Space | None, meta: Meta
) -> Dataset:
    """The checked `Dataset` of `from_arrays`, with float rewards and actions clipped into `action_space`.

    `meta` gains the name of the file, and `actions_outside`, the rows whose action lay outside of a `Box`.
    """
    fields, source = dict(fields), Path(source)
    facts: dict[str, Any] = {"file": source.name}
    if np.asarray(fields["reward"]).dtype.kind in "biu":
        fields["reward"] = np.asarray(fields["reward"], np.float32)
    if isinstance(action_space, Box) and np.shape(fields["action"])[1:] == action_space.shape:
        fields["action"], facts["actions_outside"] = clip_actions(fields["action"], action_space)
    known = (*facts.items(), *meta)
    return from_arrays(fields, action_space=action_space, source=str(source), meta=known)


def clip_actions(action: np.ndarray, space: Box, margin: float = MARGIN) -> tuple[np.ndarray, int]:
    """`(float32[n, ...], rows that lay outside of the space)`, clipped `margin` half-ranges inside of it.

    Unbounded sides are left alone. action: `[n, *space.shape]`.
    """
    low, high = (np.broadcast_to(np.asarray(b, np.float64), space.shape) for b in (space.low, space.high))
    half = np.where(np.isfinite(high - low), (high - low) / 2, 0)
    action = np.asarray(action)
    # a rounding error of the file's own type is not outside
    slack = 1e-6 * np.maximum(half, 1)
    outside = ((action < low - slack) | (action > high + slack)).reshape(len(action), -1).any(1)
    return np.clip(action, low + margin * half, high - margin * half).astype(np.float32), int(outside.sum())


def check_rows(source: Path | str, arrays: Mapping[str, np.ndarray], n: int | None = None) -> int:
    """Rows of all arrays, `n` if given.

    Raises `CorruptInput` with the name and row that the file has, where the numbers of rows differ or a
    float is not finite.
    """
    for name, x in arrays.items():
        if x.ndim == 0:
            raise CorruptInput(f"{source}: {name} is a single number; give one row per step")
        n = len(x) if n is None else n
        if len(x) != n:
            raise CorruptInput(f"{source}: {name} has {len(x)} rows, expected {n}; fetch the file again")
        if x.dtype.kind == "f":
            first_bad(str(source), name, ~np.isfinite(x), "is not finite; remove the episode")
    if not n:
        raise CorruptInput(f"{source}: has no rows; give at least one transition")
    return n


def with_successors(fields: Mapping[str, PyTree], last: np.ndarray) -> dict[str, PyTree]:
    """`fields` (obs, action, reward, terminated) with next_obs and truncated, from the observations alone.

    last: bool[n], the last row of each episode; contains `terminated`. A successor is the next row's
    observation, never that of another episode. So the last row of an episode that did not terminate is
    dropped, and the row before it is truncated. After a termination nobody reads the successor, and it
    is the row's own observation.
    """
    rows = np.arange(len(last))
    terminated = np.asarray(fields["terminated"])
    keep = ~last | terminated
    after = np.where(last, rows, np.minimum(rows + 1, len(last) - 1))
    out = dict(fields) | {
        "next_obs": jax.tree.map(lambda x: x[after], fields["obs"]),
        "truncated": keep & ~terminated & np.append(~keep[1:], False),
    }
    return jax.tree.map(lambda x: x[keep], out)


def last_rows(lengths: np.ndarray) -> np.ndarray:
    """bool[n], the last row of each of the episodes with these lengths, int[E]."""
    last = np.zeros(int(np.sum(lengths)), bool)
    last[np.cumsum(lengths) - 1] = True
    return last
