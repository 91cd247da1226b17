"""Linear programmes of a stationary MDP, by HiGHS: maximise over visits, minimise over values.

    primal   max <x, R>    s.t.  sum_a x(s, a) - gamma sum_{s', a'} P(s | s', a') x(s', a') = mu0(s),   x >= 0
    dual     min <mu0, v>  s.t.  v(s) >= R(s, a) + gamma sum_{s'} P(s' | s, a) v(s')

over states that are not terminal; both optima are J*. `x` are the visits of `occupancy.discounted_visits`.

Legend: `S` states, `A` actions, `m` reward components.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.occupancy import policy_of
from theory.exact.tables import Tables, reachable, scalarised, tables

# from so many transitions on, the simplex method on the dual is the faster one
_LARGE = 20_000
_FLOW = 1e-9  # visits below it are the rounding of zero
_TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Primal(NamedTuple):
    """Solution of the primal linear programme.

    value: float, J*; visits: float64`[S, A]`; policy: float64`[S, A]`, `policy_of(visits)`; returns:
    float64`[m]`, the components of the return under vector rewards, None for scalar ones.
    """

    value: float
    visits: np.ndarray
    policy: np.ndarray
    returns: np.ndarray | None


class Dual(NamedTuple):
    """Solution of the dual linear programme.

    value: float, J*; v: float64`[S]`, the optimal values of the states reachable from `mu0`.
    """

    value: float
    v: np.ndarray


def primal(mdp: TabularMDP, weights: Any = None, at_least: Any = None) -> Primal:
    """Best visits, with vector rewards for `weights` `[m]`; stochastic policies included.

    at_least: `[m]` lower bounds on the components of the return, -inf for none. Without them the visits of
    large problems are the multipliers of the dual. Raises `UsageError` where no policy meets the bounds,
    `NumericalFailure` where the return is unbounded (`gamma` 1).
    """
    vector = _stationary(mdp)
    t = scalarised(vector, weights)
    live = ~t.terminal
    if at_least is None and np.count_nonzero(t.P) > _LARGE:
        visits = np.zeros(t.R.shape)
        visits[live] = np.maximum(-_solve_dual(t).ineqlin.marginals, 0).reshape(live.sum(), -1)
        return _primal(vector, float((visits * t.R).sum()), visits)
    c, bounds_matrix, bounds = -t.R[live].ravel(), None, None
    if at_least is not None:
        at_least = np.asarray(at_least, np.float64)
        if at_least.shape != (vector.reward_dim,):
            raise UsageError(f"at_least: shape {at_least.shape} must be [m] of the vector rewards")
        bounded = np.isfinite(at_least)
        bounds_matrix = -vector.R[live].reshape(c.size, -1).T[bounded]
        bounds = -at_least[bounded]
    flow = _flow(t)
    out = linprog(c, A_ub=bounds_matrix, b_ub=bounds, A_eq=flow, b_eq=t.mu0[live], options=_TIGHT)
    if out.status == 2 and at_least is not None:
        raise UsageError(f"at_least: no policy has a return of at least {at_least.tolist()}")
    check_solved(out)
    visits = np.zeros(t.R.shape)
    visits[live] = out.x.reshape(live.sum(), -1)
    return _primal(vector, -float(out.fun), visits)


def dual(mdp: TabularMDP, weights: Any = None) -> Dual:
    """Smallest values that no action improves."""
    t = scalarised(_stationary(mdp), weights)
    out = _solve_dual(t)
    v = np.zeros(len(t.mu0))
    v[~t.terminal] = out.x
    return Dual(float(out.fun), v)


def _primal(t: Tables, value: float, visits: np.ndarray) -> Primal:
    """The solution without what is none of the policy's: at `gamma` 1, cycles that `mu0` never enters and
    that cost nothing can stand beside its visits.
    """
    if t.gamma == 1:
        step = np.einsum("sa,sat->st", visits > _FLOW, t.P) > 0
        visits = np.where(reachable(t.mu0 > 0, step)[:, None], visits, 0.0)
    returns = None if t.reward_dim is None else np.einsum("sa,sam->m", visits, t.R)
    return Primal(value, visits, policy_of(visits), returns)


def _solve_dual(t: Tables) -> Any:
    live = ~t.terminal
    out = linprog(t.mu0[live], A_ub=-_flow(t).T, b_ub=-t.R[live].ravel(), bounds=(None, None), options=_TIGHT)
    check_solved(out)
    return out


def _stationary(mdp: TabularMDP) -> Tables:
    t = tables(mdp)
    if t.horizon is not None:
        raise UsageError("mdp.P: is time-indexed; the programmes are for stationary MDPs")
    return t


def _flow(t: Tables) -> np.ndarray:
    """Matrix `[live, live * A]` of the flow equations."""
    live = ~t.terminal
    n, A = live.sum(), t.P.shape[1]
    return np.repeat(np.eye(n), A, axis=1) - t.gamma * t.P[live][:, :, live].reshape(n * A, n).T


def check_solved(out: Any) -> None:
    """Raise `NumericalFailure` unless HiGHS solved a programme, `out` of `scipy.optimize.linprog`."""
    if out.status != 0:
        raise NumericalFailure(f"linear programme: HiGHS ended with '{out.message}'")
