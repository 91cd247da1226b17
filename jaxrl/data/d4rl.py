"""D4RL files (Fu et al. 2020, 2004.07219): HDF5, one row per step, ended by `terminals` or `timeouts`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Space
from jaxrl.data import safe
from jaxrl.data.dataset import Dataset, Meta, as_flags, cut_after
from jaxrl.data.foreign import check_rows, finish, with_successors

Variant = Literal["fixed", "official"]
BothEnds = Literal["refuse", "terminated", "truncated"]

_REQUIRED = ("observations", "actions", "rewards", "terminals")
# the first prefix that fits is taken
TIME_LIMITS = {
    "halfcheetah": 1000,
    "hopper": 1000,
    "walker2d": 1000,
    "antmaze-umaze": 700,
    "antmaze": 1000,
    "ant": 1000,
    "kitchen": 280,
    "pen": 100,
    "door": 200,
    "hammer": 200,
    "relocate": 200,
    "maze2d-umaze": 300,
    "maze2d-medium": 600,
    "maze2d-large": 800,
}


def time_limit(name: str) -> int:
    """Steps after which the environment of a D4RL dataset, e.g. "hopper-medium-v2", cuts an episode."""
    for prefix, limit in TIME_LIMITS.items():
        if name == prefix or name.startswith(prefix + "-"):
            return limit
    raise UsageError(
        f"name: no time limit is known for {name!r}; known prefixes: {', '.join(sorted(TIME_LIMITS))}"
    )


def load(
    path: Path | str,
    *,
    action_space: Space | None = None,
    max_episode_steps: int | None = None,
    variant: Variant = "fixed",
    both_ends: BothEnds = "refuse",
    limit: int = safe.LIMIT,
) -> Dataset:
    """The `Dataset` of a D4RL file. Actions are clipped into `action_space` if it is given.

    max_episode_steps: the time limit of the recording (`time_limit`). Longer episodes are cut at it, whether
        or not the file has `timeouts`; `cut_at_limit` of the metadata says how often. Files without
        `timeouts` need it. Some files have `timeouts` that are never set: give the limit, or look at the
        jumps that `validate` reports.
    variant: "fixed" keeps every row whose successor is known: all where the file has `next_observations`, and
        otherwise all but those at a time limit and an unfinished last one. "official" is the view of the
        reference implementation: the next row's observation is the successor even after a termination, and
        all rows at a time limit are dropped, and the last row.
    both_ends: what a row with both flags is; by default a refusal. limit: bytes of all arrays together.

    Raises `CorruptInput` for files that are damaged or not of this format, `UsageError` for unknown options.
    """
    for name, value, known in (("variant", variant, Variant), ("both_ends", both_ends, BothEnds)):
        if value not in get_args(known):
            raise UsageError(f"{name}: unknown {value!r}; known: {', '.join(get_args(known))}")
    raw = safe.read_hdf5(path, _REQUIRED, limit, optional=("timeouts", "next_observations"))
    check_rows(path, raw)
    terminated = as_flags(str(path), "terminals", raw["terminals"])
    timeouts, facts = _timeouts(path, raw, terminated, max_episode_steps)
    if both_ends == "terminated":
        timeouts = timeouts & ~terminated
    elif both_ends == "truncated":
        terminated = terminated & ~timeouts
    elif (terminated & timeouts).any():
        row = np.flatnonzero(terminated & timeouts)[0]
        raise CorruptInput(
            f"{path}: terminals in row {row} is set together with timeouts; choose with both_ends"
        )
    fields = {
        "obs": raw["observations"],
        "action": raw["actions"],
        "reward": raw["rewards"],
        "terminated": terminated,
    }
    if variant == "official":
        fields = _official(fields, timeouts)
    elif "next_observations" in raw:
        fields |= {"next_obs": raw["next_observations"], "truncated": timeouts}
    else:
        last = terminated | timeouts
        last[-1] = True
        fields = with_successors(fields, last)
    return finish(fields, path, action_space, (("format", "d4rl"), ("variant", variant), *facts))


def _timeouts(
    path: Path | str, raw: dict[str, np.ndarray], terminated: np.ndarray, steps: int | None
) -> tuple[np.ndarray, Meta]:
    """`(timeouts bool[n], what to say about them)`."""
    if "timeouts" in raw:
        timeouts = as_flags(str(path), "timeouts", raw["timeouts"])
    elif steps is None:
        raise CorruptInput(
            f"{path}: timeouts is missing; give max_episode_steps, e.g. jaxrl.data.d4rl.time_limit(name)"
        )
    else:
        timeouts = np.zeros_like(terminated)
    if steps is None:
        return timeouts, ()
    cut = cut_after(terminated | timeouts, steps)
    return timeouts | cut, (("cut_at_limit", int(cut.sum())),)


def _official(fields: dict[str, np.ndarray], timeouts: np.ndarray) -> dict[str, np.ndarray]:
    """Rows 0 .. n - 2 without those at a time limit, each with the next row's observation as successor."""
    keep = ~timeouts
    keep[-1] = False
    out = fields | {
        "next_obs": np.concatenate([fields["obs"][1:], fields["obs"][-1:]]),
        "truncated": keep & ~fields["terminated"] & np.append(timeouts[1:], False),
    }
    return {name: x[keep] for name, x in out.items()}
