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


def first_of_both(steps: np.ndarray, other: np.ndarray) -> Score:
    """Share of members that reach the level with fewer steps than their partners of `other` [M].

    Two that never reach it count against.
    """
    return share(np.nan_to_num(steps, nan=np.inf) < np.nan_to_num(other, nan=np.inf), better="more")
