"""Exact solutions: the extension problem, its barrier, distance to the front, and the whole loop of C-MORL.

Legend: `m` objectives, `K` vertices of the convex coverage set.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from jaxrl.core.errors import NumericalFailure
from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.morl.hypervolume import exact_hypervolume
from jaxrl.morl.metrics import crowding, weight_lattice
from jaxrl.morl.objectives import shifted_thresholds
from theory.exact import lp, optimal_control
from theory.exact.pareto import nondominated
from theory.exact.policy_evaluation import evaluate_policy

_crowding = jax.jit(crowding)


def extend(mdp: TabularMDP, l: int, thresholds: Any) -> lp.Primal:
    """The policy with the largest return of objective l among those that keep the thresholds of the others.

    thresholds: `[m]`, of which entry l is not read. Raises `UsageError` where there is none.
    """
    at_least = np.where(np.arange(mdp.reward_dim) == l, -np.inf, thresholds)
    return lp.primal(mdp, np.eye(mdp.reward_dim)[l], at_least)


def improvement(vertices: np.ndarray, point: np.ndarray) -> float:
    """Largest improvement on `point` `[m]` in all objectives at once by any policy, min_w h(w) - w . point.

    vertices: float`[K, m]`, the convex coverage set. 0 iff the point is weakly Pareto optimal, below 0 iff no
    policy reaches it.
    """
    K, m = vertices.shape
    # minimise u - w . point over the simplex with u >= w . vertex for all vertices
    out = linprog(
        np.r_[-point, 1.0],
        A_ub=np.c_[vertices, -np.ones(K)],
        b_ub=np.zeros(K),
        A_eq=np.r_[np.ones(m), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * m + [(None, None)],
    )
    return float(out.fun)


def barrier_optimum(
    vertices: np.ndarray, start: np.ndarray, l: int, thresholds: np.ndarray, t: float
) -> np.ndarray:
    """float64`[m]`, the return that maximises G_l + (1/t) sum_{j != l} log(G_j - d_j) over all policies.

    start, thresholds: `[m]`, a return of some policy and smaller bounds; returns and bounds are positive.
    Newton steps with barriers of their own for the facets of what the vertices dominate. Raises
    `NumericalFailure` unless the linear programme at the result certifies it to 1e-7.
    """
    m = len(start)
    corners = [np.where(mask, vertices, 0.0) for mask in np.ndindex(*[2] * m)]
    facets = np.unique(np.round(ConvexHull(np.concatenate(corners)).equations, 12), axis=0)
    A, b = facets[:, :-1], -facets[:, -1]
    weight = np.where(np.arange(m) == l, 0.0, 1 / t)
    G = (start + thresholds) / 2

    def value(G: np.ndarray, mu: float) -> float:
        inside = np.r_[G - np.where(weight > 0, thresholds, -np.inf), b - A @ G]
        if inside.min() <= 0:
            return -np.inf
        return G[l] + weight @ np.log(np.maximum(G - thresholds, 1e-300)) + mu * np.log(b - A @ G).sum()

    for mu in 10.0 ** -np.arange(1, 11):
        for _ in range(100):
            slack, room = np.where(weight > 0, G - thresholds, 1.0), b - A @ G
            grad = np.eye(m)[l] + weight / slack - mu * A.T @ (1 / room)
            step = np.linalg.solve(np.diag(weight / slack**2) + mu * (A.T / room**2) @ A, grad)
            if grad @ step < 1e-13:
                break
            size = 1.0
            while value(G + size * step, mu) < value(G, mu) + 0.1 * size * grad @ step and size > 1e-12:
                size /= 2
            G = G + size * step
    gap = ((vertices - G) @ (np.eye(m)[l] + weight / np.where(weight > 0, G - thresholds, 1.0))).max()
    if gap > 1e-7:
        raise NumericalFailure(f"t: the barrier at {t} ends {gap:.1e} from its optimum")
    return G


def scalarised_front(mdp: TabularMDP, step: float) -> np.ndarray:
    """float64`[n, m]`, returns of the optimal policies for a lattice of weights, tilted to be positive."""
    weights = _tilted(weight_lattice(mdp.reward_dim, step))
    return _archive([evaluate_policy(mdp, optimal_control.solve(mdp, weights=w).policy).j for w in weights])


def exact_rounds(
    mdp: TabularMDP, step: float, selected: int, beta: float, rounds: int, constrained: bool = True
) -> list[np.ndarray]:
    """Archives float64`[n, m]` of C-MORL with linear programmes for its learners, `rounds + 1` of them.

    step: of the lattice of weights; selected: N; beta: retained share, from z = 0. Members are rounded to
    1e-9. Objectives are tilted by 1e-7 towards all others, so that each optimum is Pareto optimal.
    """
    m = mdp.reward_dim
    archives, history = [scalarised_front(mdp, step)], []
    for _ in range(rounds):
        archive = archives[-1]
        ordered = archive[by_crowding(archive)]
        chosen = [row for row in ordered if not any(np.array_equal(row, old) for old in history)][:selected]
        history += chosen
        found = []
        for row in chosen:
            thresholds = np.asarray(shifted_thresholds(row, np.zeros(m), beta), np.float64)
            for l in range(m):
                at_least = np.where((np.arange(m) == l) | (not constrained), -np.inf, thresholds)
                found.append(lp.primal(mdp, _tilted(np.eye(m)[l]), at_least).returns)
        archives.append(_archive([*archive, *found]))
    return archives


def hypervolumes(archives: list[np.ndarray]) -> np.ndarray:
    """Hypervolume of each archive above 0."""
    return np.array([exact_hypervolume(a, np.zeros(a.shape[1])) for a in archives])


def _tilted(w: np.ndarray) -> np.ndarray:
    return w + 1e-7


def _archive(points: list[np.ndarray]) -> np.ndarray:
    """Points that no other dominates, rounded, each once, in lexicographic order."""
    points = np.unique(np.round(np.array(points), 9), axis=0)
    return points[nondominated(points)]


def by_crowding(points: np.ndarray) -> np.ndarray:
    """Order int[n] of points `[n, m]` by descending crowding distance, equal ones as they stand."""
    # a few sizes of arrays, so that archives of many sizes are few programs
    room = 1 << max(len(points) - 1, 0).bit_length()
    padded = np.concatenate([points, np.zeros((room - len(points), points.shape[1]))])
    with jax.enable_x64(True):
        distance = np.asarray(_crowding(padded, np.arange(room) < len(points)))
    return np.argsort(-distance[: len(points)], kind="stable")
