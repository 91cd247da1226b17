"""With gradient noise the best steps need the update alone in one mode, and greedy steps fail in two.

Statement. With noise of variance s^2 in the gradient the second moment of a mode obeys A <- (1 - a h)^2 A +
a^2 h^2 s^2. In one mode with h = s^2 = A_0 = 1 the best steps are a_n = A_n / (A_n + 1), whatever N, with
final loss 1 / (2 (1 + N)); a constant step loses a factor that grows with N. In two modes the greedy step
is small for ever, because the large one raises the loss of the next update, and is far from the optimum.
(Wu et al. 2018, noisy quadratic model.)

Check. One mode: the recursion, no better among 1000 random steps, the best constant step for N = 4 .. 256.
Two modes h = (1, 0.1), A = (1, 100), N = 8: blocks of 1, 2 and 4 optimised one after another, and all 8
together, each from 32 starts; the greedy loss of N = 16 and 32.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from theory.exact.result import Result
from theory.meta.quadratic import SCALAR, TWO_MODES, noisy_loss, noisy_truncated

DIGITS = 2e-6  # relative error of numbers printed with seven digits


def instance() -> tuple[dict[int, tuple[float, float]], dict[int, float], dict[int, float]]:
    """Factor and place of the best constant step by N, loss by block length, greedy loss by N."""
    constant = {
        4: (1.115667, 0.285462),
        16: (1.351263, 0.120619),
        64: (1.656104, 0.042267),
        256: (1.988884, 0.013436),
    }
    return constant, {1: 1.7204422, 2: 0.1008573, 4: 0.1008391, 8: 0.0988711}, {16: 0.9172000, 32: 0.4506712}


def check(starts: int = 32) -> Result:
    """Relative errors of the known values.

    starts: places from which the minima of a block are looked for.
    """
    constant, blocks, greedy = instance()
    rng, errors = np.random.default_rng(0), []
    for N, (factor, at) in constant.items():
        best = noisy_loss(SCALAR, 1 / np.arange(2.0, N + 2))  # A_n = 1 / (n + 1)
        found = minimize_scalar(
            lambda a, N=N: noisy_loss(SCALAR, np.full(N, a)),
            bounds=(0.001, 1),
            method="bounded",
            options={"xatol": 1e-9},
        )
        errors += [best * 2 * (1 + N) - 1, found.fun / best / factor - 1, found.x - at]
    tried = min(noisy_loss(SCALAR, rng.uniform(0, 1, 4)) for _ in range(1000))
    errors += [max(0.0, 1 - 10 * tried)]
    for K, loss in blocks.items():
        steps = noisy_truncated(TWO_MODES, 8, np.exp(rng.uniform(-1.5, 2.5, (starts, K))))
        errors += [noisy_loss(TWO_MODES, steps) / loss - 1]
    for N, loss in greedy.items():
        errors += [noisy_loss(TWO_MODES, noisy_truncated(TWO_MODES, N, np.ones((1, 1)))) / loss - 1]
    measured = float(np.abs(errors).max())
    return Result(measured, DIGITS, measured <= DIGITS)


def broken() -> Result:
    """Blocks optimised from a single start, which stops in a local minimum."""
    return check(starts=1)
