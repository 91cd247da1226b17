"""Environment steps until a learning curve first reaches a level, where some curves never do.

Legend: `M` members, `L` points of a curve.
"""

from __future__ import annotations

import numpy as np

from experiments.shared.shares import share
from jaxrl.report.tables import Score

LEVEL = 0.9  # of the best known value


def steps_to(curve: np.ndarray, steps: np.ndarray, level: np.ndarray | float) -> np.ndarray:
    """float[M], the steps at the first point of `curve` [M, L] that is at least `level`; NaN where none is.

    steps: [L], environment steps so far; level: float[M] or one for all.
    """
    reached = curve >= np.broadcast_to(level, curve.shape[:1])[:, None]
    return np.where(reached.any(1), np.asarray(steps, float)[reached.argmax(1)], np.nan)


def median_of(steps: np.ndarray) -> Score:
    """The median of `steps_to`, where members that never reach the level count as later than all others.

    NaN where half of them or more never do. The interval is that of order statistics, which exists from six
    members on; one that is open above is named in the note alone.
    """
    ordered, n = np.sort(np.nan_to_num(steps, nan=np.inf)), len(steps)
    median = float(np.median(ordered))
    note = f"median; {int(np.isfinite(steps).sum())} of {n} seeds reach it"
    rank = _rank(n)
    interval = None
    if rank is not None and np.isfinite(median):
        low, high = float(ordered[rank - 1]), float(ordered[n - rank])
        interval = (low, high) if np.isfinite(high) else None
        note += "" if np.isfinite(high) else f", interval from {low:.4g} on"
    value = np.array([median if np.isfinite(median) else np.nan])
    return Score(value, "less", interval, note, derived=True)


def median_of_capped(values: np.ndarray, better: str) -> Score:
    """The median of `values` [M] of which many stand at a bound, NaN with a diverged member.

    Student's t would go beyond the bound; the interval is that of order statistics, from six members on.
    """
    ordered, n = np.sort(values), len(values)
    rank = _rank(n)
    interval = None if rank is None else (float(ordered[rank - 1]), float(ordered[n - rank]))
    note = f"median of {n} seeds, {ordered[0]:.3g} to {ordered[-1]:.3g}"
    return Score(np.array([np.median(values)]), better, interval, note, derived=True)


def first_of_both(steps: np.ndarray, other: np.ndarray) -> Score:
    """Share of members that reach the level with fewer steps than their partners of `other` [M].

    Two that never reach it count against.
    """
    return share(np.nan_to_num(steps, nan=np.inf) < np.nan_to_num(other, nan=np.inf), better="more")


def _rank(n: int) -> int | None:
    """Largest r such that the r-th smallest and the r-th largest of n enclose the median at 95 %; or None."""
    chances = np.cumprod([0.5**n, *(float(n - k) / (k + 1) for k in range(n))])  # binomial, k = 0 .. n
    below = np.cumsum(chances)
    ranks = np.flatnonzero(below <= 0.025)
    return int(ranks[-1]) + 1 if len(ranks) else None
