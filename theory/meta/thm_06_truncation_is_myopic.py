"""Optimising blocks of K updates one after another loses a factor of 490, 69 and 11 for K = 1, 2 and 4.

Statement. A meta-gradient truncated to K updates is zero where each block of K steps is optimal for the
loss at the end of that block, with the state before it held fixed. For the quadratic lifetime with N = 8
these steps end with F / F* = 490.383 (K = 1), 68.827 (K = 2), 10.7104 (K = 4) and 1 (K = 8).
(Short-horizon bias, Wu et al. 2018, in closed form.)

Check. Each block by the kernel of Christoffel and Darboux for the squared residuals before it; the slope of
the log loss of every block in the logs of its steps, by central differences, is zero.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result
from theory.meta.quadratic import WEIGHTS, best_lifetime, lifetime_loss, remaining, truncated

DIGITS = 5e-6  # relative error of numbers printed with six digits


def instance() -> dict[int, float]:
    """Known factors by the length of a block, for N = 8."""
    return {1: 490.383, 2: 68.827, 4: 10.7104, 8: 1.0}


def slopes(steps: np.ndarray, K: int, h: float = 1e-5) -> np.ndarray:
    """Derivatives of the log loss at the end of each block in the logs of its steps, `[N]`."""
    found = []
    for n in range(len(steps)):
        begin = n - n % K
        block, weights = steps[begin : begin + K], remaining(steps[:begin], WEIGHTS)
        factor = np.exp(h * (np.arange(K) == n - begin))
        ahead, behind = lifetime_loss(block * factor, weights), lifetime_loss(block / factor, weights)
        found.append(np.log(ahead / behind) / (2 * h))
    return np.array(found)


def check(restart: bool = False) -> Result:
    """Relative errors of the factors, and the largest slope.

    restart: whether each block is optimised as if it began the lifetime.
    """
    errors = []
    for K, factor in instance().items():
        steps = truncated(K, 8, restart)
        errors += [lifetime_loss(steps) / best_lifetime(8).loss / factor - 1, np.abs(slopes(steps, K)).max()]
    measured = float(np.abs(errors).max())
    return Result(measured, DIGITS, measured <= DIGITS)


def broken() -> Result:
    """Blocks that do not know what the blocks before them have done."""
    return check(restart=True)
