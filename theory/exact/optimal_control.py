"""Optimal values and policies: policy iteration, value iteration, backward induction.

Legend: `S` states, `A` actions, `H` steps, `m` reward components. Vector rewards need `weights` `[m]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import NumericalFailure
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.policy_evaluation import evaluate_policy, policy_model
from theory.exact.tables import Tables, reachable, scalarised, tables


class Optimum(NamedTuple):
    """float64. v: `[S]` or `[H + 1, S]`; q: `[S, A]` or `[H, S, A]`; policy: int`[S]` or `[H, S]`, the lowest
    optimal action; j: float, the value of `mu0`.

    At `gamma` 1 the policy is one that ends, where ending ties with never ending: an optimal action that can
    lead to an end in the fewest steps. v and q are NaN in states to which no policy comes from `mu0`.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    j: float


def solve(mdp: TabularMDP, horizon: int | None = None, weights: Any = None) -> Optimum:
    """The optimum by the method that is exact.

    Backward induction with a horizon, else policy iteration; value iteration where `gamma` is 1, since
    policies that never end have no value there.
    """
    t = scalarised(tables(mdp, horizon), weights)
    if t.horizon is not None:
        return _backward_induction(t)
    return _policy_iteration(t) if t.gamma < 1 else value_iteration(mdp, weights=weights)


def gap(mdp: TabularMDP, policy: Any, horizon: int | None = None, weights: Any = None) -> float:
    """`J* - J(policy)` >= 0 from `mu0`; `policy` as in `policy_table`."""
    j = evaluate_policy(mdp, policy, horizon).j
    return solve(mdp, horizon, weights).j - float(j if weights is None else j @ np.asarray(weights))


def value_iteration(
    mdp: TabularMDP, tolerance: float = 1e-13, weights: Any = None, sweeps: int = 1_000_000
) -> Optimum:
    """Sweeps from 0 until the values move by at most `tolerance`; for stationary MDPs.

    Raises `NumericalFailure` when `sweeps` do not suffice, as with unbounded values at `gamma` 1.
    """
    t = scalarised(tables(mdp), weights)
    seen = reachable((t.mu0 > 0) | (t.gamma < 1), (t.P > 0).any(1))
    R, discounted = t.R[seen], t.gamma * t.P[seen][:, :, seen]
    v = np.zeros(len(R))
    for _ in range(sweeps):
        q = R + discounted @ v
        change = np.abs(q.max(-1) - v).max()
        v = q.max(-1)
        if change <= tolerance:
            best = _optimum(t, np.bincount(np.flatnonzero(seen), v, len(seen)))
            best.v[~seen], best.q[~seen] = np.nan, np.nan
            return best
    raise NumericalFailure(f"tolerance: values still move by {change:.1e} after {sweeps} sweeps")


def _policy_iteration(t: Tables) -> Optimum:
    """Howard's algorithm; an action changes only for a clear gain, so that ties cannot make it cycle."""
    S, A = t.R.shape
    policy, discounted = t.R.argmax(-1), t.gamma * t.P
    while True:
        P, r = policy_model(t, np.eye(A)[policy])
        v = np.linalg.solve(np.eye(S) - t.gamma * P, r)
        q = t.R + discounted @ v
        slack = 1e-12 * max(1.0, np.abs(q).max())
        better = q.max(-1) > q[np.arange(S), policy] + slack
        if not better.any():
            return _optimum(t, v)
        policy = np.where(better, q.argmax(-1), policy)


def _backward_induction(t: Tables) -> Optimum:
    H, S = t.P.shape[:2]
    v, q = np.zeros((H + 1, S)), np.zeros(t.R.shape)
    for h in reversed(range(H)):
        q[h] = t.R[h] + t.gamma * (t.P[h] @ v[h + 1])
        v[h] = q[h].max(-1)
    return Optimum(v, q, _lowest_best(q), float(t.mu0 @ v[0]))


def _optimum(t: Tables, v: np.ndarray) -> Optimum:
    q = t.R + t.gamma * t.P @ v
    policy = _lowest_best(q) if t.gamma < 1 else _ending_best(t, q)
    return Optimum(v, q, policy, float(t.mu0 @ v))


def _ending_best(t: Tables, q: np.ndarray) -> np.ndarray:
    """int`[S]`, best actions that lead to an end with positive probability, wherever one does.

    Following them from anywhere, each step comes nearer to an end with positive probability: the policy ends.
    """
    best, policy = _is_best(q), _lowest_best(q)
    ends = t.terminal
    while True:
        leads = best & (t.P @ ends > 0)
        new = leads.any(-1) & ~ends
        if not new.any():
            return policy
        policy = np.where(new, leads.argmax(-1), policy)
        ends = ends | new


def _lowest_best(q: np.ndarray) -> np.ndarray:
    """int`[...]`, the lowest of the best actions."""
    return _is_best(q).argmax(-1)


def _is_best(q: np.ndarray) -> np.ndarray:
    """bool`[..., A]`, the best actions; rounding does not decide between equal ones."""
    return q >= q.max(-1, keepdims=True) - 1e-10 * max(1.0, np.abs(q).max())
