"""Medians over members, with the interval of order statistics, as a table reports them."""

from __future__ import annotations

import numpy as np

from jaxrl.report.tables import Score


def median_of(steps: np.ndarray) -> Score:
    """The median of steps to a level [M], NaN of members that never reach it: later than all others.

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


def _rank(n: int) -> int | None:
    """Largest r such that the r-th smallest and the r-th largest of n enclose the median at 95 %; or None."""
    chances = np.cumprod([0.5**n, *(float(n - k) / (k + 1) for k in range(n))])  # binomial, k = 0 .. n
    below = np.cumsum(chances)
    ranks = np.flatnonzero(below <= 0.025)
    return int(ranks[-1]) + 1 if len(ranks) else None
