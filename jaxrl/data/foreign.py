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
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import PyTree
from jaxrl.data.dataset import Dataset, Meta, as_column, as_flags, check_lengths, first_bad, from_arrays

MARGIN = 1e-5  # of half the range: the density of a squashed policy is infinite at the bounds


def finish(
    fields: Mapping[str, PyTree], source: Path | str, action_space: Space | None, meta: Meta
) -> Dataset:
    """The checked `Dataset` of `from_arrays`, with float rewards and actions clipped into `action_space`.

    Rewards `[n, 1]`, and actions `[n, 1]` of a `Discrete` space, lose their second axis.
    `meta` gains the name of the file, and `actions_outside`, the rows whose action lay outside of a `Box`.
    """
    fields, source = dict(fields), Path(source)
    facts: dict[str, Any] = {"file": source.name}
    fields["reward"] = as_column(np.asarray(fields["reward"]))
    if fields["reward"].dtype.kind in "biu":
        fields["reward"] = fields["reward"].astype(np.float32)
    if isinstance(action_space, Discrete):
        fields["action"] = as_column(np.asarray(fields["action"]))
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
    """The number of rows of all arrays, which has to be `n` if that is given.

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


def with_successors(
    fields: Mapping[str, PyTree], last: np.ndarray, source: str = "with_successors"
) -> dict[str, PyTree]:
    """`fields` with `next_obs` and `truncated`, made of consecutive observations.

    The step between a table of rows, as of a CSV file, and `from_arrays`:

        fields = {"obs": table[:, :3], "action": table[:, 3:4], "reward": table[:, 4], "terminated": ended}
        data = from_arrays(with_successors(fields, last=np.diff(episode, append=-1) != 0))

    fields: obs, action, reward, terminated, leaves `[n, ...]`, rows of an episode contiguous and in order.
    last: bool[n], the last row of each episode, however it ended; the last row of all and those terminated
        are added.

    A successor is the next row's observation, never that of another episode. So the last row of an episode
    that did not terminate is dropped, and the row before it is truncated. After a termination nobody reads
    the successor, and it is the row's own observation.

    Raises `CorruptInput` for missing arrays, arrays of unequal length, flags other than 0 and 1, and floats
    that are not finite, with the row of `fields`. Rows that `from_arrays` names are those of the result.
    """
    missing = [name for name in ("obs", "terminated") if name not in fields]
    if missing:
        raise CorruptInput(f"{source}: {missing[0]} is missing; add the array")
    fields = jax.tree.map(np.asarray, dict(fields), is_leaf=lambda x: isinstance(x, list))
    terminated = as_flags(source, "terminated", fields["terminated"])
    last = as_flags(source, "last", np.asarray(last)) | terminated
    check_lengths(source, fields | {"last": last}, len(terminated))
    rows = np.arange(len(last))
    last[-1:] = True
    keep = ~last | terminated
    for path, x in jax.tree_util.tree_leaves_with_path(fields):
        if x.dtype.kind == "f":
            bad = ~np.isfinite(x).reshape(len(x), -1).all(1)
            bad &= keep | (path[0].key == "obs")  # nobody reads the rest of a dropped row
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            first_bad(source, name, bad, "is not finite; remove the episode")
    after = np.where(last, rows, np.minimum(rows + 1, len(last) - 1))
    out = fields | {
        "terminated": terminated,
        "next_obs": jax.tree.map(lambda x: x[after], fields["obs"]),
        "truncated": keep & ~terminated & np.append(~keep[1:], False),
    }
    return jax.tree.map(lambda x: x[keep], out)


def last_rows(lengths: np.ndarray) -> np.ndarray:
    """bool[n], the last row of each of the episodes with these lengths, int[E]."""
    last = np.zeros(int(np.sum(lengths)), bool)
    last[np.cumsum(lengths) - 1] = True
    return last
