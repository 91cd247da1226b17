"""Uniform coverage is the value of a game: visit evenly, against weights that look for what is visited least.

Statement. The largest t such that one policy visits every pair with average probability at least t is
    min over distributions w on pairs of max over pi of (1/H) E_pi sum_h w(s_h, a_h),
a linear programme in w and values: min V_1(s_1) with V_h(s) >= w(s, a) / H + P V_{h+1}.

Check. Both programmes on locks of three and six digits (the pairs of the digits) and on 10 random kernels;
0.0460227273, 0.0077271790 and, with certain death, 0.0081336660.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from theory.exact import finite_lp
from theory.exact.result import Result
from theory.reward_free.instances import lock, random_pair

TOLERANCE = 1e-8


def instance() -> list[tuple[np.ndarray, int, np.ndarray, float | None]]:
    """Tuples kernel, horizon, pairs bool`[S, A]` that count, known value."""
    found = []
    for n, A, bad, H, t in (
        (3, 2, 0.1, 5, 0.0460227273),
        (6, 3, 0.1, 8, 0.0077271790),
        (6, 3, 0, 7, 0.0081336660),
    ):
        pairs = np.broadcast_to(np.arange(n + 2)[:, None] < n, (n + 2, A))
        found.append((lock(n, A, 0.9, bad), H, pairs, t))
    return found + [(random_pair(seed, 3)[0], 3, np.ones((3, 2), bool), None) for seed in range(10)]


def game(P: np.ndarray, H: int, pairs: np.ndarray) -> float:
    """The smallest value over weights w on the pairs."""
    S, A = P.shape[:2]
    n = S * A
    rows = []
    for h in range(H):
        row = np.zeros((n, n + H * S))
        row[:, :n] = np.eye(n) / H
        row[np.arange(n), n + h * S + np.arange(n) // A] -= 1
        if h + 1 < H:
            row[:, n + (h + 1) * S : n + (h + 2) * S] += P.reshape(n, S)
        rows.append(row)
    cost, total = np.zeros(n + H * S), np.r_[pairs.ravel(), np.zeros(H * S)]
    cost[n] = 1.0
    bounds = [(0, None if counts else 0) for counts in pairs.ravel()] + [(None, None)] * (H * S)
    out = linprog(
        cost, A_ub=np.concatenate(rows), b_ub=np.zeros(H * n), A_eq=total[None], b_eq=[1.0], bounds=bounds,
        options=finite_lp.TIGHT,
    )  # fmt: skip
    return float(finite_lp.solved(out).fun)


def check(late: int = 0) -> Result:
    """Largest difference of both programmes and of the known values; `late`: steps that the weights miss."""
    errors = []
    for P, H, pairs, known in instance():
        value = finite_lp.uniform_coverage(P, H, pairs=pairs).value
        errors.append(abs(value - game(P, H - late, pairs)))
        errors.append(0.0 if known is None else abs(value - known))
    measured = float(max(errors))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """The game over one step less."""
    return check(late=1)
