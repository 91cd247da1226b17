"""Returns of lifetimes of which some may have diverged."""

from __future__ import annotations

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.report import statistics


def diverged_as_lowest(*returns: np.ndarray) -> list[np.ndarray]:
    """The arrays with the lowest finite number of all of them in place of every number that is not finite.

    Raises:
        UsageError: nothing is finite.
    """
    arrays = [np.asarray(x, np.float64) for x in returns]
    worst = statistics.worst_finite(np.concatenate([x.ravel() for x in arrays]), "more")
    if worst is None:
        raise UsageError("returns: every lifetime diverged; take a smaller learning rate")
    return [statistics.diverged_as_worst(x, worst) for x in arrays]
