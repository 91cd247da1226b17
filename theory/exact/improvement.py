"""Generalised policy improvement (Barreto et al. 2017, 1606.05312) over policies for several preferences.

Legend: `K` policies, `S` states, `A` actions, `m` objectives, `W` preferences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.optimal_control import solve
from theory.exact.pareto import linear_support
from theory.exact.policy_evaluation import evaluate_policy


def improved_policy(q: Any, w: Any) -> np.ndarray:
    """int`[S]`, argmax over actions of the best scalarised value of any policy, max_k w . Q_k(s, a).

    q: float`[K, S, A, m]`, w: float`[m]`. Its value is at least that of every policy for w, in every state.
    NaN, values of what never ends, count as the worst.
    """
    scalar = np.asarray(q, np.float64) @ np.asarray(w, np.float64)
    return np.where(np.isnan(scalar), -np.inf, scalar).max(0).argmax(-1)


def improved_returns(mdp: TabularMDP, solves: int | None, preferences: Any) -> np.ndarray:
    """Returns float64`[W, m]` of the improved policies for float`[W, m]` preferences.

    The policies improved upon are those that optimal linear support finds with at most `solves` solves, None
    for all. Raises `UsageError` where `linear_support` does.
    """
    found = linear_support(mdp, solves)
    policies = np.stack([solve(mdp, weights=w).policy for w in found.weights])
    q = np.stack([evaluate_policy(mdp, pi).q for pi in policies])
    return np.stack([evaluate_policy(mdp, improved_policy(q, w)).j for w in np.asarray(preferences)])
