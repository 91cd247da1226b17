"""Regret is the gap of each arm times how often it is pulled.

Statement. For K arms of means p and any sequence of arms a_1 .. a_T,
    T max p - sum_t p(a_t) = sum_k (max p - p(k)) n(k),   n(k) = how often arm k is pulled.
(Lattimore and Szepesvari 2020, lemma 4.5.)

Check. 100 random sequences of 50 pulls of 4 arms.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result, identity

ARMS, PULLS = 4, 50


def instance(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Means float64[4] and arms int[50]."""
    rng = np.random.default_rng(seed)
    return rng.random(ARMS), rng.integers(ARMS, size=PULLS)


def check(best: int = 0) -> Result:
    """Left minus right; `best`: rank from above of the mean that gaps are measured from."""
    errors = []
    for p, arms in map(instance, range(100)):
        gap = np.sort(p)[-1 - best] - p
        errors.append(PULLS * p.max() - p[arms].sum() - gap @ np.bincount(arms, minlength=ARMS))
    return identity(np.array(errors))


def broken() -> Result:
    """Gaps to the second best arm."""
    return check(best=1)
