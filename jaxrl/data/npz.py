"""Recordings in npz files of three libraries, each with its own idea of where an episode ends.

Legend: `n` rows, `E` episodes. None of the readers touches a pickled entry.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxrl.core.errors import CorruptInput
from jaxrl.core.fields import Size, check_value
from jaxrl.core.spaces import Space
from jaxrl.data import safe
from jaxrl.data.dataset import Dataset, as_flags
from jaxrl.data.foreign import check_rows, finish, last_rows, with_successors


def imitation(
    path: Path | str,
    *,
    max_episode_steps: int,
    action_space: Space | None = None,
    limit: int = safe.LIMIT,
) -> Dataset:
    """Rollouts of HumanCompatibleAI/imitation.

    Entries: obs `[n + E]`; acts, rews `[n]`; indices `[E - 1]`, first rows but for 0; terminal `[E]`.
    The files say `terminal` of episodes at the time limit too, so an episode of `max_episode_steps` steps is
    truncated whatever they say; of the others, those with `terminal` are terminated.
    limit: bytes of all arrays together.
    """
    max_episode_steps = check_value("max_episode_steps", max_episode_steps, Size)
    raw = safe.read_npz(path, ("obs", "acts", "rews", "indices", "terminal"), limit)
    n = check_rows(path, {name: raw[name] for name in ("acts", "rews")})
    # an empty list, as of a single trajectory, is stored as floats
    indices = raw["indices"] if raw["indices"].size else np.zeros(0, int)
    lengths = np.diff(np.concatenate([[0], indices.ravel().astype(np.int64), [n]]))
    if indices.dtype.kind not in "iu" or indices.ndim != 1 or (lengths < 1).any():
        raise CorruptInput(f"{path}: indices must be increasing rows in 1 .. {n - 1}; fetch the file again")
    check_rows(path, {"obs": raw["obs"]}, n + len(lengths))
    check_rows(path, {"terminal": raw["terminal"]}, len(lengths))
    cut = lengths >= max_episode_steps
    _check_longest(path, lengths, max_episode_steps)
    ends = as_flags(str(path), "terminal", raw["terminal"]) & ~cut
    last = last_rows(lengths)
    # every episode has one observation more than steps
    row = np.arange(n) + np.repeat(np.arange(len(lengths)), lengths)
    terminated = last & np.repeat(ends, lengths)
    fields = {
        "obs": raw["obs"][row],
        "next_obs": raw["obs"][row + 1],
        "action": raw["acts"],
        "reward": raw["rews"],
        "terminated": terminated,
        "truncated": last & ~terminated,
    }
    return finish(fields, path, action_space, (("format", "imitation"),))


def stable_baselines(
    path: Path | str,
    *,
    max_episode_steps: int,
    action_space: Space | None = None,
    remaining_time: bool = False,
    limit: int = safe.LIMIT,
) -> Dataset:
    """Expert files of stable-baselines and of code built on it: obs, actions, rewards `[n]` or `[n, 1]`.

    remaining_time: the last column of obs is the fraction of time that remains; it tells where episodes begin
        and is removed. Without it the file must have `episode_starts` as numbers.
    limit: bytes of all arrays together.

    `next_obs` of such files is that of a reset after the last step, so successors come from obs alone: the
    last row of an episode at the time limit is dropped (`with_successors`). Shorter episodes are terminated,
    but for the last one of the file, which may have been cut.
    """
    max_episode_steps = check_value("max_episode_steps", max_episode_steps, Size)
    names = ("obs", "actions", "rewards") + (() if remaining_time else ("episode_starts",))
    raw = safe.read_npz(path, names, limit)
    n = check_rows(path, raw)
    obs, rewards = raw["obs"], raw["rewards"]
    if remaining_time:
        if obs.ndim != 2 or obs.shape[1] < 2:
            raise CorruptInput(f"{path}: obs has shape {obs.shape}, so it has no column of remaining time")
        starts = np.append(True, obs[1:, -1] >= obs[:-1, -1])
        obs = obs[:, :-1]
    else:
        starts = as_flags(str(path), "episode_starts", raw["episode_starts"])
        starts[0] = True
    lengths = np.diff(np.append(np.flatnonzero(starts), n))
    _check_longest(path, lengths, max_episode_steps)
    ends = lengths < max_episode_steps
    ends[-1] = False
    last = last_rows(lengths)
    fields = {
        "obs": obs,
        "action": raw["actions"],
        "reward": rewards,
        "terminated": last & np.repeat(ends, lengths),
    }
    return finish(with_successors(fields, last), path, action_space, (("format", "stable-baselines"),))


def demonstrations(
    path: Path | str, *, action_space: Space | None = None, limit: int = safe.LIMIT
) -> Dataset:
    """Human demonstrations of Adroit tasks (hand_dapg): observations, actions, rewards `[n]`, lengths `[E]`.

    None of them terminates, so the last row of each is dropped (`with_successors`). limit: bytes of all
    arrays together.
    """
    raw = safe.read_npz(path, ("observations", "actions", "rewards", "lengths"), limit)
    lengths = raw.pop("lengths")
    n = check_rows(path, raw)
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or (lengths < 1).any() or lengths.sum() != n:
        raise CorruptInput(f"{path}: lengths must be positive and add up to the {n} rows; fetch it again")
    fields = {
        "obs": raw["observations"],
        "action": raw["actions"],
        "reward": raw["rewards"],
        "terminated": np.zeros(n, bool),
    }
    rows = with_successors(fields, last_rows(lengths))
    return finish(rows, path, action_space, (("format", "demonstrations"),))


def _check_longest(path: Path | str, lengths: np.ndarray, limit: int) -> None:
    if lengths.max() > limit:
        raise CorruptInput(
            f"{path}: episode {lengths.argmax()} has {lengths.max()} steps, more than "
            f"max_episode_steps {limit}; give the time limit of the recording"
        )
