"""What looks wrong in a dataset, as counts: a report for data that may be used, but not blindly."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from jaxrl.core.spaces import Space
from jaxrl.data.dataset import Dataset
from jaxrl.data.episodes import distances, jumps
from jaxrl.data.fit import misfit, outside

TELEPORT = 10.0  # times the median distance of one step
SPIKE = 2.0  # times the steps before and after, and the median
HINTS = ("teleport", "spike")
"""Findings that may be fast motion; the others are mistakes."""


class Report(NamedTuple):
    """What `validate` found in a dataset.

    rows, episodes: how many there are; findings: rows int[...] in which each check failed, by its name.

    boundary: inside an episode, but the next row is not the successor; `episodes.split_at_jumps` ends the
    episode there. teleport: a step longer than
    `TELEPORT` medians of the steps that moved, which may be a fast motion or a boundary that nobody marked.
    spike: inside an episode, a step longer than `SPIKE` times the step before, the step after, and the
    median: how a reset that nobody marked looks where it is a few steps long.
    not_finite: NaN or infinite. action: outside of the action space, or of another shape or type.
    both_ends: terminated and truncated. no_end: the last row of an episode without either.
    """

    rows: int
    episodes: int
    findings: dict[str, np.ndarray]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows failed each check."""
        return {name: len(rows) for name, rows in self.findings.items()}

    @property
    def clean(self) -> bool:
        """Whether no check failed."""
        return not any(self.counts.values())

    def __str__(self) -> str:
        lines = [f"{self.rows} rows, {self.episodes} episodes"]
        for name, rows in self.findings.items():
            first = f", first in row {rows[0]}" if len(rows) else ""
            lines.append(f"{name}: {len(rows)}{first}")
        return "\n".join(lines)


def validate(data: Dataset, action_space: Space | None = None) -> Report:
    """The report on `data`; raises nothing. Actions are checked where `action_space` is given."""
    terminated, truncated = np.asarray(data.terminated), np.asarray(data.truncated)
    last = np.append(np.diff(np.asarray(data.episode)) != 0, True)
    step = distances(data)
    moved = step[np.isfinite(step) & (step > 0)]
    bad = {
        "boundary": jumps(data),
        "teleport": step > TELEPORT * np.median(moved) if moved.size else np.zeros(data.size, bool),
        "spike": _spikes(step, last),
        "not_finite": _not_finite(data),
        "action": np.zeros(data.size, bool) if action_space is None else _outside(data, action_space),
        "both_ends": terminated & truncated,
        "no_end": last & ~(terminated | truncated),
    }
    findings = {name: np.flatnonzero(rows) for name, rows in bad.items()}
    return Report(data.size, int(last.sum()), findings)


def _spikes(step: np.ndarray, last: np.ndarray) -> np.ndarray:
    """bool[n] for the distances of steps, `last` where an episode ends; first and last rows have no spike."""
    moved = step[np.isfinite(step) & (step > 0)]
    if len(step) < 3 or not moved.size:
        return np.zeros(len(step), bool)
    beside = np.maximum(np.append(0, step[:-1]), np.append(step[1:], 0))
    inner = ~last & ~np.append(True, last[:-1])
    return inner & (step > SPIKE * np.maximum(beside, np.median(moved)))


def _not_finite(data: Dataset) -> np.ndarray:
    leaves = jax.tree.leaves((data.obs, data.action, data.reward, data.next_obs))
    return np.any([~np.isfinite(np.asarray(x)).reshape(len(x), -1).all(1) for x in leaves], axis=0)


def _outside(data: Dataset, space: Space) -> np.ndarray:
    if misfit(data.action, space):
        return np.ones(data.size, bool)
    return outside(data.action, space)
