"""Gaussian kernels and their low-rank forms, in float64 on the host.

Legend: a `[n, d]`, b `[m, d]` points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.minimax.estimators.checks import median_of


def square_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a_i - b_j|^2, `[n, m]`, never negative."""
    cross = a @ b.T
    return np.maximum(np.sum(a**2, -1)[:, None] + np.sum(b**2, -1)[None] - 2 * cross, 0.0)


def rbf(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma |a_i - b_j|^2), `[n, m]`."""
    return np.exp(-gamma * square_distances(a, b))


def median_distance(name: str, a: np.ndarray) -> float:
    """Median of |a_i - a_j| over pairs i < j; `UsageError` that calls the array `name` where it is zero."""
    return median_of(name, np.sqrt(square_distances(a, a)[np.triu_indices(len(a), 1)]))


def spectral(k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(s [r], v [n, r])` with k = v diag(s) v' for a positive semidefinite `k [n, n]`, tiny values left out.

    Left out are eigenvalues below n eps times the largest, as in `numpy.linalg.matrix_rank`.
    """
    s, v = np.linalg.eigh((k + k.T) / 2)
    keep = s > len(k) * np.finfo(np.float64).eps * max(s[-1], 0.0)
    return s[keep], v[:, keep]


def ridge_path(k: np.ndarray, m: np.ndarray, v: np.ndarray) -> Callable[[float], np.ndarray]:
    """`alpha -> a [n]` with (k m k + alpha k) a = k v, for k, m `[n, n]` positive semidefinite, v `[n]`.

    One eigendecomposition serves all alpha > 0: with k = u s u' and b = s^(1/2) u' a it is
    (s^(1/2) u' m u s^(1/2) + alpha) b = s^(1/2) u' v. Of all solutions the one in the range of k.
    """
    s, u = spectral(k)
    half = u * np.sqrt(s)
    values, rotation = np.linalg.eigh(half.T @ m @ half)
    values = np.maximum(values, 0.0)
    right, back = rotation.T @ (half.T @ v), (u / np.sqrt(s)) @ rotation
    return lambda alpha: back @ (right / (values + alpha))


class Nystrom(NamedTuple):
    """Features phi with phi(a) phi(b)' ~ rbf(a, b), exact on the landmarks `[r, d]`; root `[r, k]`."""

    landmarks: np.ndarray
    root: np.ndarray
    gamma: float

    def __call__(self, a: np.ndarray) -> np.ndarray:
        """Features `[n, k]`."""
        return rbf(a, self.landmarks, self.gamma) @ self.root


def nystrom(a: np.ndarray, gamma: float, rank: int, draw: np.random.Generator) -> Nystrom:
    """Features from `rank` landmarks drawn from `a` without replacement; UsageError unless 1 <= rank <= n."""
    if not 1 <= rank <= len(a):
        raise UsageError(f"rank: must lie between 1 and the {len(a)} observations, got {rank}")
    landmarks = a[np.sort(draw.choice(len(a), rank, replace=False))]
    s, v = spectral(rbf(landmarks, landmarks, gamma))
    return Nystrom(landmarks, v / np.sqrt(s), gamma)
