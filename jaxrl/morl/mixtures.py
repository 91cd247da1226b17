"""Constraint queries served by mixtures: "at least d_j of objective j, and the best of objective l".

A mixture draws one policy at the start of every episode. Its expected returns are the convex combination, so
that the whole convex hull of an archive can be served without training.

Legend: `n` policies, `m` objectives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError


class Mixture(NamedTuple):
    """Probabilities of policies and what they return together.

    probability: float64[n], adding up to 1, at most as many positive as bounds and one; returns: float64[m].
    """

    probability: np.ndarray
    returns: np.ndarray

    @property
    def policies(self) -> np.ndarray:
        """Indices of the policies that are drawn, int[k]."""
        return np.flatnonzero(self.probability > 0)


def best_mixture(returns: Any, best: int, at_least: Any) -> Mixture:
    """The mixture of policies float`[n, m]` with the largest return in objective `best` within the bounds.

    at_least: float`[m]`, lower bounds, -inf for none. A linear programme: max p . G_l subject to
    p . G_j >= d_j, with p in the simplex. Raises `UsageError` where no mixture meets the bounds, with the
    closest one and by how much it misses each of them.
    """
    from scipy.optimize import linprog

    G, bounds = np.asarray(returns, np.float64), np.asarray(at_least, np.float64)
    if G.ndim != 2 or not len(G) or not np.isfinite(G).all():
        raise UsageError(f"returns: must be finite numbers [n, m], got shape {list(G.shape)}")
    n, m = G.shape
    if bounds.shape != (m,) or np.isnan(bounds).any() or np.isposinf(bounds).any():
        raise UsageError(f"at_least: must be {m} bounds, -inf for none, got {bounds.tolist()}")
    if not isinstance(best, int | np.integer) or not 0 <= best < m:
        raise UsageError(f"best: must be an objective in 0 .. {m - 1}, got {best!r}")
    bounded = np.flatnonzero(np.isfinite(bounds))
    simplex = np.ones((1, n))
    found = linprog(-G[:, best], A_ub=-G[:, bounded].T, b_ub=-bounds[bounded], A_eq=simplex, b_eq=[1.0])
    if found.status != 0:
        raise UsageError(_missed(G, bounds, bounded))
    p = np.maximum(found.x, 0)
    p[p < 1e-12] = 0
    p /= p.sum()
    return Mixture(p, p @ G)


def _missed(G: np.ndarray, bounds: np.ndarray, bounded: np.ndarray) -> str:
    """The sentence about bounds that no mixture meets, with that of the smallest largest relative miss."""
    from scipy.optimize import linprog

    n = len(G)
    scale = np.maximum(np.ptp(G, axis=0), 1e-8)[bounded]
    out = linprog(
        np.r_[np.zeros(n), 1.0],
        A_ub=np.c_[-G[:, bounded].T / scale[:, None], -np.ones(len(bounded))],
        b_ub=-bounds[bounded] / scale,
        A_eq=np.r_[np.ones(n), 0.0][None],
        b_eq=[1.0],
    )
    closest = out.x[:n] @ G
    misses = [
        f"objective {j} by {bounds[j] - closest[j]:.6g}" for j in bounded if closest[j] < bounds[j] - 1e-9
    ]
    return (
        f"at_least: no mixture meets {bounds.tolist()}; the closest one returns"
        f" {[float(f'{x:.6g}') for x in closest]} and misses {', '.join(misses)}"
    )
