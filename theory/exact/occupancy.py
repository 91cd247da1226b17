"""Occupancy measures: from a policy to the state-action distribution it induces, and back.

Legend: `S` states, `A` actions, `H` steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.policy_evaluation import check_ends, policy_model
from theory.exact.tables import policy_table, tables


def discounted_occupancy(mdp: TabularMDP, policy: Any) -> np.ndarray:
    """float64`[S, A]` of sum 1: d(s, a) = (1 - gamma) sum_t gamma^t Pr(s_t = s, a_t = a).

    Terminal states are included; an episode stays in them. `<d, R> = (1 - gamma) J`. Raises `UsageError`
    unless `gamma` < 1.
    """
    t = tables(mdp)
    if t.horizon is not None or t.gamma == 1:
        raise UsageError("mdp.gamma: discounted occupancy needs stationary tables and gamma < 1")
    pi = policy_table(policy, t)
    P, _ = policy_model(t, pi)
    states = np.linalg.solve(np.eye(len(P)) - t.gamma * P.T, (1 - t.gamma) * t.mu0)
    return states[:, None] * pi


def discounted_visits(mdp: TabularMDP, policy: Any) -> np.ndarray:
    """float64`[S, A]`, expected discounted visits sum_t gamma^t Pr(s_t = s, a_t = a) before the episode ends.

    They are 0 in terminal states, so that `gamma` = 1 is allowed where every episode ends. `<visits, R> = J`.
    """
    t = tables(mdp)
    if t.horizon is not None:
        raise UsageError("mdp.P: is time-indexed; use finite_occupancy")
    pi = policy_table(policy, t)
    P, _ = policy_model(t, pi)
    live = check_ends(t, P) & ~t.terminal
    states = np.zeros(len(P))
    states[live] = np.linalg.solve(np.eye(live.sum()) - t.gamma * P[np.ix_(live, live)].T, t.mu0[live])
    return states[:, None] * pi


def finite_occupancy(mdp: TabularMDP, policy: Any, horizon: int | None = None) -> np.ndarray:
    """float64`[H, S, A]`, the distribution of `(s_h, a_h)` at every step, without discount."""
    t = tables(mdp, horizon)
    if t.horizon is None:
        raise UsageError("horizon: is needed, because the tables are stationary")
    pi = policy_table(policy, t)
    states, out = t.mu0, np.zeros(pi.shape)
    for h in range(t.horizon):
        out[h] = states[:, None] * pi[h]
        states = np.einsum("sa,sat->t", out[h], t.P[h])
    return out


def policy_of(occupancy: Any) -> np.ndarray:
    """float64`[..., S, A]`, the policy with this occupancy or these visits; uniform in unvisited states."""
    occupancy = np.asarray(occupancy, np.float64)
    states = occupancy.sum(-1, keepdims=True)
    safe = np.where(states > 0, states, 1.0)
    return np.where(states > 0, occupancy / safe, 1 / occupancy.shape[-1])


def flow_residual(mdp: TabularMDP, occupancy: Any) -> float:
    """Largest violation of the Bellman flow equations of `discounted_occupancy` or `finite_occupancy`.

    sum_a d(s, a) = (1 - gamma) mu0(s) + gamma sum_{s', a'} P(s | s', a') d(s', a'), or step by step.
    """
    d = np.asarray(occupancy, np.float64)
    t = tables(mdp, len(d) if d.ndim == 3 else None)
    if t.horizon is None:
        flow = (1 - t.gamma) * t.mu0 + t.gamma * np.einsum("sa,sat->t", d, t.P)
        return float(np.abs(d.sum(-1) - flow).max())
    flow = np.concatenate([t.mu0[None], np.einsum("hsa,hsat->ht", d[:-1], t.P[:-1])])
    return float(np.abs(d.sum(-1) - flow).max())
