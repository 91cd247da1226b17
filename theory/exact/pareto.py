"""Fronts of small vector-reward MDPs, all objectives maximised.

Deterministic policies by enumeration, the convex coverage set by optimal linear support (Cheng 1988; Roijers,
Whiteson, Oliehoek 2015).

Legend: `S` states, `A` actions, `m` objectives, `K` points.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.optimal_control import solve
from theory.exact.policy_evaluation import check_ends, evaluate_policy
from theory.exact.tables import Tables, tables

_ENTRIES = 1 << 22  # of an array that is made at once


def deterministic_returns(mdp: TabularMDP, most: int = 100_000) -> tuple[np.ndarray, np.ndarray]:
    """`(policies int[K, S], returns float64[K, m])` of all `K = A^live` stationary deterministic policies.

    Raises `UsageError` for scalar rewards, time-indexed tables, and if there are more than `most`.
    """
    t = tables(mdp)
    if t.reward_dim is None or t.horizon is not None:
        raise UsageError("mdp: a front needs stationary tables with vector rewards")
    live = np.flatnonzero(~t.terminal)
    n_actions = t.P.shape[1]
    if n_actions ** len(live) > most:
        raise UsageError(f"mdp: has {n_actions}^{len(live)} deterministic policies, more than {most}")
    policies = np.zeros((n_actions ** len(live), len(t.mu0)), int)
    policies[:, live] = list(itertools.product(range(n_actions), repeat=len(live)))
    size = max(1, _ENTRIES // t.P[:, 0].size)
    chunks = [policies[i : i + size] for i in range(0, len(policies), size)]
    return policies, np.concatenate([_returns(t, chunk) for chunk in chunks])


def nondominated(points: Any, tolerance: float = 1e-10) -> np.ndarray:
    """bool`[K]`, whether no other point is at least as good everywhere and better somewhere."""
    points = np.asarray(points, np.float64)
    dominated = np.zeros(len(points), bool)
    size = max(1, _ENTRIES // len(points)) if len(points) else 1
    # objective by objective: a last axis of length m would not be vectorised
    columns = list(points.T)
    for i in range(0, len(points), size):
        at_least, better = True, False
        for column in columns:
            own = column[i : i + size, None]
            at_least = at_least & (own >= column - tolerance)
            better = better | (own > column + tolerance)
        dominated |= (at_least & better).any(0)
    return ~dominated


def supported(points: Any, tolerance: float = 1e-9) -> np.ndarray:
    """bool`[K]`, whether the point beats all points different from it for some weights >= 0: a vertex of the
    convex coverage set.
    """
    points = np.asarray(points, np.float64)
    return np.array([_best_margin(p, points, tolerance) > tolerance for p in points])


def convex_coverage_set(mdp: TabularMDP, tolerance: float = 1e-9) -> np.ndarray:
    """float64`[K, m]`, the returns that are optimal for some weights, in lexicographic order.

    The best value over a set of returns is convex and piecewise linear in the weights, and the largest
    possible improvement on it lies at one of its corners: solve there until no corner improves.
    """
    m = tables(mdp).reward_dim
    if m is None or m < 2:
        raise UsageError(f"mdp.reward_dim: is {m}; a coverage set needs at least 2 objectives")
    points, solved = np.zeros((0, m)), np.zeros((0, m))
    corners = np.eye(m)
    while len(corners):
        for w in corners:
            point = evaluate_policy(mdp, solve(mdp, weights=w).policy).j
            if not len(points) or w @ point > (points @ w).max() + tolerance:
                points = np.vstack([points, point])
        solved = np.vstack([solved, corners])
        corners = _corners(points)
        corners = corners[[np.abs(solved - w).max(-1).min() > 1e-9 for w in corners]]
    points = np.unique(points, axis=0)
    return points[supported(points, tolerance)]


def _returns(t: Tables, policies: np.ndarray) -> np.ndarray:
    """float64`[K, m]`, the values of `mu0` under actions int`[K, S]`, by one batched solve."""
    states, live = np.arange(len(t.mu0)), ~t.terminal
    P, r = t.P[states, policies], t.R[states, policies]
    check_ends(t, P)
    v = np.zeros(r.shape)
    v[:, live] = np.linalg.solve(np.eye(live.sum()) - t.gamma * P[:, live][:, :, live], r[:, live])
    return t.mu0 @ v


def _best_margin(point: np.ndarray, points: np.ndarray, tolerance: float) -> float:
    """Largest c with w . point >= w . other + c for all others and some w in the simplex."""
    others = points[np.abs(points - point).max(-1) > tolerance]
    if not len(others):
        return np.inf
    m = len(point)
    out = linprog(
        np.r_[np.zeros(m), -1.0],
        A_ub=np.c_[others - point, np.ones(len(others))],
        b_ub=np.zeros(len(others)),
        A_eq=np.r_[np.ones(m), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * m + [(None, None)],
    )
    return -out.fun


def _corners(points: np.ndarray) -> np.ndarray:
    """Weights at the corners of `max_k w . points_k` over the simplex, from the vertices of its epigraph."""
    m = points.shape[1]
    # coordinates (w_1 .. w_{m-1}, u) with w_m = 1 - sum; rows (a, b) mean a . x + b <= 0
    top = points.max() + 1.0
    last = points[:, -1:]
    rows = [
        np.c_[points[:, :-1] - last, -np.ones(len(points)), last],
        np.c_[-np.eye(m - 1), np.zeros((m - 1, 2))],
        np.r_[np.ones(m - 1), 0.0, -1.0][None],
        np.r_[np.zeros(m - 1), 1.0, -top][None],
    ]
    inside = np.r_[np.full(m - 1, 1 / m), top - 0.5]
    vertices = HalfspaceIntersection(np.vstack(rows), inside).intersections
    w = vertices[vertices[:, -1] < top - 1e-9, :-1]
    return np.clip(np.c_[w, 1 - w.sum(-1)], 0.0, 1.0)
