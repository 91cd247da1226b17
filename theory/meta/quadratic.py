"""Lifetimes on quadratics whose best step sizes are known exactly, with and without gradient noise.

Legend: `M` modes, `N` updates of a lifetime, `n` the update, `a` step sizes, `K` updates of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MODES = np.arange(1, 11) / 10
WEIGHTS = np.full(10, 0.1)
HORIZONS = (1, 2, 4, 8)


class Best(NamedTuple):
    """The optimum of a lifetime. loss: float; steps: float64[N], ascending."""

    loss: float
    steps: np.ndarray


def lifetime_loss(steps: np.ndarray, weights: np.ndarray = WEIGHTS) -> float:
    """The loss sum_i w_i prod_n (1 - a_n lambda_i)^2 after the updates `steps` `[N]`."""
    return float(remaining(steps, weights).sum())


def remaining(steps: np.ndarray, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    """Squared residuals `[M]` after the updates `steps` `[N]`, from squared residuals `weights` `[M]`."""
    return weights * np.prod((1 - np.outer(steps, MODES)) ** 2, 0)


def best_lifetime(N: int, weights: np.ndarray = WEIGHTS) -> Best:
    """The optimum 1 / K_N(0, 0) and the inverse roots of K_N(0, .), the kernel of Christoffel and Darboux.

    The roots of K_N(0, .) are the nodes of Gauss for the weights lambda_i w_i.
    """
    at_zero = _orthonormal_at_zero(weights, N)
    return Best(float(1 / (at_zero @ at_zero)), np.sort(1 / gauss_nodes(weights * MODES, N)))


def gauss_nodes(weights: np.ndarray, N: int) -> np.ndarray:
    """The N nodes of Gauss for the discrete weights `[M]` on the modes: eigenvalues of the Jacobi matrix."""
    diagonal, beside, _ = _recurrence(weights, N)
    off = beside[: N - 1]
    return np.linalg.eigvalsh(np.diag(diagonal[:N]) + np.diag(off, 1) + np.diag(off, -1))


def _orthonormal_at_zero(weights: np.ndarray, N: int) -> np.ndarray:
    """Values at 0 of the orthonormal polynomials of degree 0 .. N, `[N + 1]`."""
    diagonal, beside, first = _recurrence(weights, N)
    values = [first]
    for k in range(N):
        before = beside[k - 1] * values[k - 1] if k else 0.0
        values.append((-diagonal[k] * values[k] - before) / beside[k])
    return np.array(values)


def _recurrence(weights: np.ndarray, N: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients of the recurrence of the orthonormal polynomials (Stieltjes), and the first polynomial."""
    p, before, scale = np.full(len(weights), 1 / np.sqrt(weights.sum())), np.zeros(len(weights)), 0.0
    first, diagonal, beside = p[0], [], []
    for _ in range(N):
        diagonal.append(weights @ (MODES * p * p))
        q = (MODES - diagonal[-1]) * p - scale * before
        scale = np.sqrt(weights @ (q * q))
        beside.append(scale)
        before, p = p, q / scale
    return np.array(diagonal), np.array(beside), float(first)


def truncated(K: int, N: int, restart: bool = False) -> np.ndarray:
    """Step sizes `[N]` whose every block of K is optimal for the loss at its own end.

    restart: whether each block is optimised as if it began the lifetime, which is wrong.
    """
    weights, steps = WEIGHTS, np.empty(0)
    for _ in range(N // K):
        steps = np.append(steps, best_lifetime(K, weights).steps)
        weights = WEIGHTS if restart else remaining(steps)
    return steps


def score(schedule: np.ndarray) -> float:
    """The mean over N = 1, 2, 4, 8 of log F_N / F*_N, for step sizes `[8]` that do not know N."""
    return float(np.mean([np.log(lifetime_loss(schedule[:N]) / best_lifetime(N).loss) for N in HORIZONS]))


class Noisy(NamedTuple):
    """A quadratic with gradient noise: curvature, noise variance, second moments at the start, `[M]`."""

    curvature: np.ndarray
    variance: np.ndarray
    start: np.ndarray


SCALAR = Noisy(np.ones(1), np.ones(1), np.ones(1))
TWO_MODES = Noisy(np.array([1.0, 0.1]), np.ones(2), np.array([1.0, 100.0]))


def noisy_moments(problem: Noisy, steps: np.ndarray) -> np.ndarray:
    """Second moments `[M]` after the updates, A <- (1 - a h)^2 A + a^2 h^2 s^2."""
    h, A = problem.curvature, problem.start
    for a in steps:
        A = (1 - a * h) ** 2 * A + (a * h) ** 2 * problem.variance
    return A


def noisy_loss(problem: Noisy, steps: np.ndarray) -> float:
    """The loss (1/2) sum_i h_i A_i after the updates."""
    return float(problem.curvature @ noisy_moments(problem, steps) / 2)


def best_block(problem: Noisy, starts: np.ndarray, sweeps: int = 300) -> np.ndarray:
    """The best of the minima of a block of K updates that are found from the steps `starts` `[S, K]`.

    Steps are improved one at a time: the loss is a parabola in each, whose minimum has a closed form.
    """
    h, variance, a = problem.curvature, problem.variance, starts.copy()
    K = a.shape[1]
    for _ in range(sweeps):
        keep = (1 - a[..., None] * h) ** 2  # [S, K, M]
        weight = np.broadcast_to(h, (len(a), len(h)))
        weights = [weight := weight * keep[:, n] for n in reversed(range(1, K))][::-1]
        weights.append(np.broadcast_to(h, weight.shape))
        A = np.broadcast_to(problem.start, weight.shape)
        for n in range(K):
            a[:, n] = (weights[n] * h * A).sum(-1) / (weights[n] * h**2 * (A + variance)).sum(-1)
            A = (1 - a[:, n, None] * h) ** 2 * A + (a[:, n, None] * h) ** 2 * variance
    return min(a, key=lambda steps: noisy_loss(problem, steps))


def noisy_truncated(problem: Noisy, N: int, starts: np.ndarray) -> np.ndarray:
    """Step sizes `[N]` whose every block of K is optimal for the loss at its own end.

    starts: step sizes `[S, K]` from which the minima of a block are looked for.
    """
    steps = np.empty(0)
    for _ in range(N // starts.shape[1]):
        here = problem._replace(start=noisy_moments(problem, steps))
        steps = np.append(steps, best_block(here, starts))
    return steps
