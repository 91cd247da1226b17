"""Offline and online data together can need a fraction of the episodes that online data alone need.

Statement. From state 0 each of m actions leads to a branch of its own with m actions, H = 2. Policies are
known to width w after T online episodes where every pair (branch, action) has 1 / w rows: T = m^2 / w
online episodes alone. Offline data that have 1 / w rows of every pair but those of one branch leave m / w
episodes, all into that branch. Offline data alone never suffice: two problems that differ in this branch
only give the same data, and no policy is within 1/2 of both optima.
(Wagenmaker and Pacchiano 2023, offline-to-online coverage, for tables.)

Check. m = 3 and 4, w = 0.01: both numbers lie in the bracket of the optimal design, 4 percent wide; the
largest smallest loss over all policies of the two problems is 1/2.
"""

from __future__ import annotations

import numpy as np

from theory.exact.online_design import smallest_episodes
from theory.exact.result import Result

WIDTH = 0.01
PRECISION = 0.04


def instance(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Kernel float64`[m + 1, m, m + 1]` whose branches absorb, and the offline rows `[m + 1, m]`."""
    P = np.zeros((m + 1, m, m + 1))
    P[0, np.arange(m), 1 + np.arange(m)] = 1.0
    P[np.arange(1, m + 1), :, np.arange(1, m + 1)] = 1.0
    offline = np.full((m + 1, m), 1 / WIDTH)
    offline[m] = 0.0
    return P, offline


def smallest_loss() -> float:
    """The smallest over probabilities p of the first of two actions of max(1 - p, p), the losses of a policy
    in two problems where another one of them pays 1 at the end.
    """
    p = np.linspace(0, 1, 1001)
    return float(np.maximum(1 - p, p).min())


def check(wasted: bool = False) -> Result:
    """Relative distance of brackets to the closed forms; `wasted`: all rows are of the first branch."""
    errors = [abs(smallest_loss() - 0.5)]
    for m in (3, 4):
        P, offline = instance(m)
        if wasted:
            offline = np.where(np.arange(m + 1)[:, None] == 1, offline, 0.0)
        for rows, expected in ((np.zeros_like(offline), m**2 / WIDTH), (offline, m / WIDTH)):
            found = smallest_episodes(P, 2, rows, WIDTH)
            errors += [(found.fewer - expected) / expected, (expected - found.enough) / expected]
            errors.append((found.enough - found.fewer) / expected - PRECISION)
    measured = float(max(errors))
    return Result(measured, 1e-9, measured <= 1e-9)


def broken() -> Result:
    """The same number of offline rows per pair, but of a single branch."""
    return check(wasted=True)
