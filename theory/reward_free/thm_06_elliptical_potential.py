"""Squared norms in the metric of what was seen before add up to a logarithm of the determinant.

Statement. With U_0 = lambda I and U_t = U_{t-1} + x_t x_t' in d dimensions, |x_t| <= L,
    sum_t min{1, |x_t|^2 in the inverse of U_{t-1}} <= 2 log(det U_T / det U_0)
                                                    <= 2 d log((d lambda + T L^2) / (d lambda)).
(Abbasi-Yadkori, Pal and Szepesvari 2011, lemma 11.)

Check. x_t = 0.7 (cos t, sin 2 t), t = 0 .. 499, lambda = 1, whose sum is 10.2500007144 and log determinant
9.6324834460, and 100 random sequences.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result

TOLERANCE = 1e-9


def instance(seed: int | None) -> np.ndarray:
    """Features `[T, d]`: the scripted ones for None."""
    if seed is None:
        t = np.arange(500.0)
        return 0.7 * np.stack([np.cos(t), np.sin(2 * t)], -1)
    rng = np.random.default_rng(seed)
    return rng.normal(size=(100, 3)) * rng.exponential(size=(100, 1))


def potential(x: np.ndarray, learns: bool) -> tuple[float, float]:
    """The sum of truncated squared norms, and the log determinant at the end, lambda = 1."""
    U, total = np.eye(x.shape[1]), 0.0
    for row in x:
        total += min(1.0, row @ np.linalg.solve(U, row))
        U += np.outer(row, row) if learns else 0.0
    return total, float(np.linalg.slogdet(U)[1])


def check(learns: bool = True) -> Result:
    """Error of the two numbers and violation of both inequalities."""
    errors = []
    for seed in (None, *range(100)):
        x = instance(seed)
        T, d = x.shape
        total, log_det = potential(x, learns)
        L = np.sqrt(0.98) if seed is None else np.linalg.norm(x, axis=1).max()
        bound = 2 * d * np.log((d + T * L**2) / d)
        errors += [total - 2 * log_det, 2 * log_det - bound]
        if seed is None:
            errors += [abs(total - 10.2500007144) - 1e-10, abs(log_det - 9.6324834460) - 1e-10]
    measured = float(max(errors))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """Norms in the metric of the start, which never shrink."""
    return check(learns=False)
