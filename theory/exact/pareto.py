"""Fronts of small vector-reward MDPs, all objectives maximised.

Deterministic policies by enumeration, the convex coverage set by optimal linear support (Cheng 1988; Roijers,
Whiteson, Oliehoek 2015).

Legend: `S` states, `A` actions, `m` objectives, `K` points.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.lp import check_solved
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


class Support(NamedTuple):
    """What optimal linear support found.

    points: float64`[K, m]`, returns that are optimal for some weights, in lexicographic order; gap: float,
    how much more than the best of them another policy could bring for any weights at most, 0 if none can;
    solves: int, how many scalarised problems were solved; weights: float64`[solves, m]`, for which.
    """

    points: np.ndarray
    gap: float
    solves: int
    weights: np.ndarray


def convex_coverage_set(mdp: TabularMDP, tolerance: float = 1e-9) -> np.ndarray:
    """float64`[K, m]`, the returns that are optimal for some weights, in lexicographic order."""
    return linear_support(mdp, tolerance=tolerance).points


def linear_support(mdp: TabularMDP, solves: int | None = None, tolerance: float = 1e-9) -> Support:
    """Optimal linear support: the convex coverage set, or with a limit on `solves` a part of it and its gap.

    The best value over a set of returns is convex and piecewise linear in the weights, and the largest
    possible improvement on it lies at one of its corners: solve there until no corner improves. Under a
    limit the corners with the largest possible improvement come first. Raises `UsageError` for scalar rewards
    and for less than one solve per objective.
    """
    m = tables(mdp).reward_dim
    if m is None or m < 2:
        raise UsageError(f"mdp.reward_dim: is {m}; a coverage set needs at least 2 objectives")
    if solves is not None and solves < m:
        raise UsageError(f"solves: is {solves}; linear support starts with one for each of {m} objectives")
    points, solved, best = np.zeros((0, m)), np.zeros((0, m)), np.zeros(0)
    corners, gap = np.eye(m), 0.0
    while len(corners):
        if solves is not None and len(solved) >= m:
            gains = np.array([_possible_gain(w, points, solved, best) for w in corners])
            corners, gap = corners[np.argsort(-gains, kind="stable")], max(float(gains.max()), 0.0)
            corners = corners[: max(1, len(corners) // 4)][: solves - len(solved)]
            if not len(corners):
                break
        for w in corners:
            point = evaluate_policy(mdp, solve(mdp, weights=w).policy).j
            if not len(points) or w @ point > (points @ w).max() + tolerance:
                points = np.vstack([points, point])
            best = np.append(best, w @ point)
        solved = np.vstack([solved, corners])
        corners = _corners(points)
        corners = corners[[np.abs(solved - w).max(-1).min() > 1e-9 for w in corners]]
        gap = 0.0
    points = np.unique(points, axis=0)
    return Support(points[supported(points, tolerance)], gap, len(solved), solved)


def _possible_gain(w: np.ndarray, points: np.ndarray, solved: np.ndarray, best: np.ndarray) -> float:
    """Most that any return with `solved @ return <= best` brings for weights `w` beyond all `points`."""
    out = linprog(-w, A_ub=solved, b_ub=best, bounds=(None, None))
    check_solved(out)
    return -out.fun - (points @ w).max()


def _returns(t: Tables, policies: np.ndarray) -> np.ndarray:
    """float64`[K, m]`, the values of `mu0` under actions int`[K, S]`, by one batched solve."""
    states, live = np.arange(len(t.mu0)), ~t.terminal
    P, r = t.P[states, policies], t.R[states, policies]
    # what never ends is never reached, and gets the value 0
    P, r = (np.where(check_ends(t, P)[..., None], x, 0.0) for x in (P, r))
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
    check_solved(out)
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
