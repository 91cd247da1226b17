"""The released chi2 loss is no maximiser of values that are far apart.

Statement. Let Q be 0 with probability 0.9 and 20 otherwise, and let the loss be that of f-DVL with the
released chi2 formula max(y + y^2 / 4, 0), which is convex but grows again below -4. Its minimiser is at most
4 for every lambda up to 0.99, while that of the loss cut at 0 tends to 20.

Check. 20 values of lambda from 0.5 to 0.99: the minimiser minus 4.
"""

from __future__ import annotations

import numpy as np

from jaxrl.dual_rl.objectives import Maximiser, conjugate
from theory.dual_rl.maximisers import implicit_maximum
from theory.exact.result import Result, inequality


def instance() -> tuple[np.ndarray, np.ndarray]:
    """`(q, mu)`, `[1, 2]` each."""
    return np.array([[0.0, 20.0]]), np.array([[0.9, 0.1]])


def check(maximiser: Maximiser = conjugate("chi2", "literal")) -> Result:
    """Minimiser minus 4."""
    q, mu = (np.repeat(x[None], 20, axis=0) for x in instance())
    return inequality(implicit_maximum(maximiser, np.linspace(0.5, 0.99, 20), q, mu), 4.0)


def broken() -> Result:
    """The loss cut at 0, which is a maximiser."""
    return check(conjugate("chi2", "relu"))
