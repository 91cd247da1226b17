"""Differences of paired runs, and how many pairs an interval of a given width takes."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from jaxrl.report import statistics
from jaxrl.report.tables import Score


def differences(
    name: str, task: str, values: np.ndarray, base: np.ndarray, half_width: float | None = None
) -> dict[str, Score]:
    """What an experiment reports of runs `values` against `base`, `[S]` each, seed by seed.

    `<name>, <task>` has the differences, and `<name> (lower end), <task>` the lower end of the 95 % interval
    (Student's t) of their mean: NaN where fewer than two pairs finished, or where one did not. With
    `half_width` the differences say how many pairs an interval of that width to each side takes.
    """
    difference = values - base
    n = len(difference)
    interval = statistics.mean_interval(difference[:, None]) if np.isfinite(difference).all() else None
    low = np.nan if interval is None else float(interval[0])
    needed = None if half_width is None else pairs_needed(difference, half_width)
    note = f"{n} pairs" if needed is None else f"{n} pairs; an interval of +-{half_width:g} takes {needed}"
    return {
        f"{name}, {task}": Score(difference, "more", note=note, derived=True),
        f"{name} (lower end), {task}": Score(np.array([low]), "more", note=f"of {n} pairs", derived=True),
    }


def pairs_needed(difference: np.ndarray, half_width: float) -> int | None:
    """The fewest pairs at which the 95 % interval of the mean reaches at most `half_width` to each side.

    It is computed from the standard deviation of the finite differences `[S]`; None with fewer than two.
    """
    finite = difference[np.isfinite(difference)]
    if len(finite) < 2:
        return None
    std = float(finite.std(ddof=1))
    n = 2
    while stats.t.ppf(0.975, n - 1) * std / math.sqrt(n) > half_width:
        n += max(1, n // 100)
    return n
