"""Descent-ascent is stable up to a step that the lazy spectrum gives.

Statement. Euler's method on the linear equation of the lazy limit, whose spectrum lies in the closed left
half plane, converges for eps < min 2 |Re m| / |m|^2 over the eigenvalues m that are not 0, and diverges
beyond.

Check. Cosine kernel on the reference problem, where the limit is 1.4856 (1.4875 for lam = 0): after 4000
steps from a random start the iterates at 0.95 of the limit are at most 10 times the start, which components
of eigenvalue 0 keep, and at 1.05 of it above 1e6 times the start.
"""

from __future__ import annotations

import numpy as np

from jaxrl.minimax.instances import npiv_gaussian
from jaxrl.minimax.lazy import stability_limit
from theory.exact.result import Result, inequality
from theory.minimax.oracles import lazy_matrix
from theory.minimax.setting import RHO


def instance(lam: float) -> np.ndarray:
    """`[n, n]`, the matrix of the linear equation."""
    made = npiv_gaussian(RHO, lam)
    x = made.x[:, 0]
    gap = x[:, None] - x[None]
    kernel = np.exp(-(gap**2) / 2) * (2 + x[:, None] * x[None]) / 2
    return lazy_matrix(made, kernel, kernel)


def growth(A: np.ndarray, eps: float, steps: int = 4000) -> float:
    """Largest entry after `steps` of y <- y + eps A y, over the largest at the start."""
    y = np.random.default_rng(12).normal(size=len(A))
    first = np.abs(y).max()
    for _ in range(steps):
        y = y + eps * A @ y
    return float(np.abs(y).max() / first)


def check(below: float = 0.95) -> Result:
    """Growth at `below` times the limit over 10, 1e6 over that at 1.05, both minus 1; Re of the spectrum."""
    margins = []
    for lam in (0.1, 0.0):
        A = instance(lam)
        limit = stability_limit(A)
        margins += [growth(A, below * limit) / 10 - 1, 1e6 / growth(A, 1.05 * limit) - 1]
        margins.append(np.linalg.eigvals(A).real.max() - 1e-12)
    return inequality(margins, 0.0)


def broken() -> Result:
    """A step 5 % beyond the limit."""
    return check(below=1.05)
