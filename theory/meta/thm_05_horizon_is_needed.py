"""No schedule that knows the update but not the horizon is optimal for every horizon.

Statement. For the quadratic lifetime the best steps of N = 1 and of N = 2 have no first step in common, so
a rule a_n that is blind to N loses: min over a of max_N F_N / F*_N > 1 over N in {1, 2}, and the mean of
log F_N / F*_N over N in {1, 2, 4, 8} is positive, at least half of its minimum over {1, 2}. A rule of (n,
N) has 0.
(Exact form of the claim of Jackson et al. 2024 that n/N and log N both matter.)

Check. The second step has a closed form, so that both minima over {1, 2} are of one dimension: 1.0708328
and 0.0620023. Over all four horizons the score is 1.98770 for the best constant step, at most 0.107636 for
a blind schedule, a local minimum that a descent does not leave, and 0 for a rule of (n, N).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from theory.exact.result import Result
from theory.meta.quadratic import HORIZONS, MODES, best_lifetime, lifetime_loss, remaining, score

DIGITS = 5e-6  # relative error of numbers printed with six digits


class Known(NamedTuple):
    """Known values: the blind schedule `[8]`, and minima, two of them with their places."""

    schedule: np.ndarray
    constant: float
    blind: float
    worst: float
    worst_at: float
    mean: float
    mean_at: float


def instance() -> Known:
    """The blind schedule and the values of the ladder."""
    schedule = [1.28359, 2.08226, 1.00010, 4.85474, 1.11472, 1.56562, 9.94793, 2.96593]
    return Known(np.array(schedule), 1.98770, 0.107636, 1.0708328, 1.2300152, 0.0620023, 1.1847405)


def ratios(first: float) -> np.ndarray:
    """F_N / F*_N for N = 1, 2 of a first step and the best second one, `[2]`."""
    left = remaining(np.array([first]))
    second = (left @ MODES) / (left @ MODES**2)
    losses = left.sum(), lifetime_loss(np.array([first, second]))
    return np.array([losses[0] / best_lifetime(1).loss, losses[1] / best_lifetime(2).loss])


def smallest(objective: Callable[[float], float], low: float = 0.5, high: float = 3.0) -> tuple[float, float]:
    """Place and value of the minimum of a function of one step: the best of 501 points, then refined."""
    grid = np.linspace(low, high, 501)
    at = grid[int(np.argmin([objective(a) for a in grid]))]
    found = minimize_scalar(
        objective, bounds=(at - 0.01, at + 0.01), method="bounded", options={"xatol": 1e-10}
    )
    return float(found.x), float(found.fun)


def check(order: slice | np.ndarray = slice(None)) -> Result:
    """Relative errors of the known values, and what a descent from the blind schedule gains.

    order: of the steps of the blind schedule.
    """
    known = instance()
    schedule = known.schedule[order]
    worst, mean = smallest(lambda a: ratios(a).max()), smallest(lambda a: np.log(ratios(a)).mean())
    constant = smallest(lambda a: score(np.full(8, a)))
    descent = minimize(lambda x: score(np.exp(x)), np.log(schedule), method="BFGS", options={"maxiter": 5})
    pairs = [
        (constant[1], known.constant),
        (score(schedule), known.blind),
        (descent.fun, known.blind),
        (worst[1], known.worst),
        (mean[1], known.mean),
    ]
    errors = [a / b - 1 for a, b in pairs]
    errors += [(worst[0] - known.worst_at) / 10, (mean[0] - known.mean_at) / 10]
    aware = [np.log(lifetime_loss(best_lifetime(N).steps) / best_lifetime(N).loss) for N in HORIZONS]
    measured = float(np.abs([*errors, *aware]).max())
    return Result(measured, DIGITS, measured <= DIGITS and mean[1] / 2 > 0.03)


def broken() -> Result:
    """The same steps in ascending order, which changes nothing for N = 8 and all for shorter horizons."""
    return check(np.argsort(instance().schedule))
