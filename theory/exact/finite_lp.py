"""Linear programmes over the visits of a finite horizon, by HiGHS: best visits and largest uniform coverage.

The variables are q_h(s, a) = Pr(s_h = s, a_h = a) >= 0 with

    sum_a q_1(s, a) = mu0(s),     sum_a q_{h+1}(s, a) = sum_{s', a'} P_h(s | s', a') q_h(s', a'),

and every solution is the visits of a Markov policy, `occupancy.policy_of(q)`. Arrays come in, so that a
kernel from anywhere can be asked.

Legend: `S` states, `A` actions, `H` steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from jaxrl.core.errors import NumericalFailure, UsageError

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Visits(NamedTuple):
    """Solution of a programme. value: float, its optimum; visits: float64`[H, S, A]`, which attain it."""

    value: float
    visits: np.ndarray


def best_visits(P: Any, reward: Any, mu0: Any = 0) -> Visits:
    """Largest expected total reward over all policies, stochastic ones included, and visits that attain it.

    P: `[S, A, S]` or `[H, S, A, S]`. reward: `[H, S, A]`. mu0: a state or `[S]`. Raises `UsageError` for
    arrays of other shapes or that are no kernel.
    """
    reward = np.asarray(reward, np.float64)
    if reward.ndim != 3 or not np.isfinite(reward).all():
        raise UsageError(f"reward: must be finite numbers [H, S, A], got shape {reward.shape}")
    P, mu0 = kernel("P", P, len(reward)), start(mu0, reward.shape[1])
    if P.shape[:3] != reward.shape:
        raise UsageError(f"reward: shape {reward.shape} does not fit the kernel [H, S, A] = {P.shape[:3]}")
    out = linprog(-reward.ravel(), A_eq=_flow(P), b_eq=_inflow(P, mu0), options=TIGHT)
    return Visits(-solved(out).fun, np.maximum(out.x, 0).reshape(reward.shape))


def largest_visits(P: Any, H: int, mu0: Any = 0) -> np.ndarray:
    """float64`[H, S]`, the largest probability of any policy to be in a state at a step, without a programme.

    Arguments as `best_visits`; entry (h, s) is the value of the reward 1[s_h = s] by backward induction.
    """
    P = kernel("P", P, H)
    S = P.shape[1]
    mu0, found = start(mu0, S), np.zeros((H, S))
    for h in range(H):
        values = np.eye(S)  # [S, target]
        for k in reversed(range(h)):
            values = (P[k] @ values).max(1)
        found[h] = mu0 @ values
    return found


def uniform_coverage(P: Any, H: int, mu0: Any = 0, pairs: Any = None) -> Visits:
    """Largest t such that one policy visits every pair with average probability (1/H) sum_h q_h(s, a) >= t.

    pairs: bool`[S, A]`, the pairs that count, by default all; the others are arguments as `best_visits`.
    """
    P = kernel("P", P, H)
    S, A = P.shape[1:3]
    mu0 = start(mu0, S)
    pairs = np.ones((S, A), bool) if pairs is None else np.asarray(pairs)
    if pairs.shape != (S, A) or pairs.dtype != bool or not pairs.any():
        raise UsageError(f"pairs: must be bool[S, A] = {(S, A)} with a true entry, got {pairs.shape}")
    counted = np.flatnonzero(pairs)
    average = sparse.hstack([sparse.eye(S * A, format="csr")[counted] / H] * H)
    above = sparse.hstack([-average, np.ones((counted.size, 1))])
    flow = sparse.hstack([_flow(P), sparse.csr_matrix((H * S, 1))])
    cost = np.zeros(H * S * A + 1)
    cost[-1] = -1.0
    out = linprog(
        cost, A_ub=above, b_ub=np.zeros(counted.size), A_eq=flow, b_eq=_inflow(P, mu0), options=TIGHT
    )
    return Visits(-solved(out).fun, np.maximum(out.x[:-1], 0).reshape(H, S, A))


def kernel(name: str, P: Any, H: int) -> np.ndarray:
    """float64`[H, S, A, S]` of a kernel that may be stationary; `UsageError` names what is none."""
    if not isinstance(H, int | np.integer) or H < 1:
        raise UsageError(f"H: must be an integer >= 1, got {H!r}")
    P = np.asarray(P, np.float64)
    if P.ndim not in (3, 4) or P.shape[-1] != P.shape[-3]:
        raise UsageError(f"{name}: shape {P.shape} is neither [S, A, S] nor [H, S, A, S]")
    if P.ndim == 4 and len(P) != H:
        raise UsageError(f"{name}: has transitions of {len(P)} steps, not of H = {H}")
    if not np.all(P >= -1e-12) or not np.allclose(P.sum(-1), 1, atol=1e-9):
        raise UsageError(
            f"{name}: rows must be probabilities that sum to 1; clip them and divide by their sums"
        )
    return np.broadcast_to(P, (H, *P.shape[-3:]))


def start(mu0: Any, S: int) -> np.ndarray:
    """float64`[S]`, a start state or distribution as a distribution; `UsageError` where it is none."""
    if np.ndim(mu0) == 0 and np.issubdtype(np.asarray(mu0).dtype, np.integer) and 0 <= mu0 < S:
        return np.eye(S)[int(mu0)]
    mu0 = np.asarray(mu0, np.float64)
    if mu0.shape != (S,) or not np.all(mu0 >= 0) or not np.isclose(mu0.sum(), 1, atol=1e-9):
        raise UsageError(f"mu0: must be a state in 0 .. {S - 1} or a distribution [S] = ({S},)")
    return mu0


def solved(out: Any) -> Any:
    """A result of `linprog` that is optimal, else `NumericalFailure` with the reason of HiGHS."""
    if out.status != 0:
        raise NumericalFailure(f"linear programme: HiGHS ended with '{out.message}'")
    return out


def _flow(P: np.ndarray) -> Any:
    """Sparse matrix `[H S, H S A]` of the flow equations."""
    H, S, A = P.shape[:3]
    leaves = sparse.kron(sparse.eye(S), np.ones((1, A)))
    rows = []
    for h in range(H):
        blocks: list[Any] = [None] * H
        blocks[h] = leaves
        if h > 0:
            blocks[h - 1] = sparse.csr_matrix(-P[h - 1].reshape(S * A, S).T)
        rows.append(blocks)
    return sparse.bmat(rows, format="csr")


def _inflow(P: np.ndarray, mu0: np.ndarray) -> np.ndarray:
    """Right-hand side `[H S]` of the flow equations: what comes from outside."""
    return np.concatenate([mu0, np.zeros((len(P) - 1) * len(mu0))])
