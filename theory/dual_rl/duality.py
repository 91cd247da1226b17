"""Exact primal and dual values of regularised RL and imitation on finite MDPs, with certificates.

    dual-V    max_d E_d[r] - alpha D_f(d || dO)  over occupancies d          (`dual_v`)
    dual-Q    the same for the occupancy of one policy                        (`dual_q`)
    ReCOIL    max_d -D_f(beta d + (1 - beta) dS || beta dE + (1 - beta) dS)   (`recoil_v`, `recoil_q`)

Every answer carries the dual value, the primal value of the recovered occupancy, and how far that is from the
flow equations: weak duality makes a feasible occupancy with no gap a proof of both.

Legend: `S` states, `A` actions; distributions over pairs are float64`[S, A]` of sum 1.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from scipy.optimize import linprog

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl.divergences import Divergence, divergence
from jaxrl.dual_rl.objectives import mixture, recoil_floor
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.dual_rl.convex import Programme, Solution, minimise
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.tables import Tables, policy_table, tables

Clamp = Literal["exact", "nonneg"]


class Dual(NamedTuple):
    """Solution of a dual, and the primal solution recovered from it.

    value: float, minimum of the dual. variable: float64`[S]` (V) or `[S, A]` (Q); y: float64`[S, A]`.

    d: float64`[S, A]`, the recovered occupancy; primal: float, its primal value; flow: float, by how much it
    violates the flow equations (in the Q form: those of the policy).
    """

    value: float
    variable: np.ndarray
    y: np.ndarray
    d: np.ndarray
    primal: float
    flow: float

    @property
    def gap(self) -> float:
        """Dual minus primal value: 0 at an optimum, and >= 0 for every feasible `d`."""
        return self.value - self.primal

    @property
    def policy(self) -> np.ndarray:
        """float64`[S, A]`, of the positive part of `d`; uniform where it is 0."""
        return policy_of(np.maximum(self.d, 0))


def dual_v(
    mdp: TabularMDP, d_o: Any, key: str, alpha: float = 1.0, *, reward: Any = None, clamped: bool = True
) -> Dual:
    """The best regularised occupancy, by its dual over V.

    d_o: reference distribution. reward: `[S, A]` instead of the MDP's. clamped: False gives up d >= 0, as
    losses with f* in place of f*_p do. Raises `UsageError` for alpha <= 0, and where f'(inf) is infinite and
    no policy stays within the support of `d_o`.
    """
    t, f, d_o = _discounted(mdp), divergence(key), np.asarray(d_o, np.float64)
    r = t.R if reward is None else np.asarray(reward, np.float64)
    _check_alpha(alpha)
    _check_support(t, d_o, f)
    floor = np.zeros(d_o.size) if clamped else None
    # in units of alpha, so that occupancies and residuals do not depend on it
    p = Programme((1 - t.gamma) * t.mu0, _of_v(t), r.ravel() / alpha, d_o.ravel(), floor)
    found = minimise(p, key, _start(p, f, t.gamma))
    d = found.measure.reshape(r.shape)
    return _dual(found, alpha, d, float((d * r).sum()) - alpha * _between(f, d, d_o))


def dual_q(
    mdp: TabularMDP, policy: Any, d_o: Any, key: str, alpha: float = 1.0, *, reward: Any = None
) -> Dual:
    """E_d[r] - alpha D_f(d || dO) of one policy, by its dual over Q, which needs no clamp.

    Raises `UsageError` for alpha <= 0, and where f'(inf) is infinite and `policy` leaves the support of
    `d_o`.
    """
    t, f, d_o = _discounted(mdp), divergence(key), np.asarray(d_o, np.float64)
    r = t.R if reward is None else np.asarray(reward, np.float64)
    _check_alpha(alpha)
    _check_covers(discounted_occupancy(mdp, policy), d_o, f)
    pi = policy_table(policy, t)
    p = Programme(
        (1 - t.gamma) * (t.mu0[:, None] * pi).ravel(), _of_q(t, pi), r.ravel() / alpha, d_o.ravel(), None
    )
    found = minimise(p, key, _start(p, f, t.gamma))
    d = found.measure.reshape(r.shape)
    return _dual(found, alpha, d, float((d * r).sum()) - alpha * _between(f, d, d_o))


def dual_q_closed_form(mdp: TabularMDP, policy: Any, d_o: Any, key: str, alpha: float = 1.0) -> np.ndarray:
    """float64`[S, A]`, the Q that attains `dual_q`: Q = (I - gamma P^pi)^-1 (r - alpha f'(d / dO)).

    For a smooth f, `d_o` > 0 everywhere, and a policy that leaves out no action.
    """
    t, f = _discounted(mdp), divergence(key)
    pi = policy_table(policy, t)
    with jax.enable_x64(True):
        y = np.asarray(f.f_prime(discounted_occupancy(mdp, pi) / d_o))
    return np.linalg.solve(-_of_q(t, pi), (t.R - alpha * y).ravel()).reshape(t.R.shape)


def recoil_v(mdp: TabularMDP, d_e: Any, d_s: Any, beta: float, key: str, clamp: Clamp = "exact") -> Dual:
    """The occupancy whose mixture with `d_s` is nearest to the mixture of `d_e` with it, by the dual over V.

    clamp: "exact" keeps d >= 0. "nonneg" only keeps the mixture >= 0: a relaxation with a larger value and
    negative entries of `d`, unless `d_e` is an occupancy. A value below 0 says by how much `d_e` is none.
    """
    if clamp not in ("exact", "nonneg"):
        raise UsageError(f"clamp: must be exact or nonneg, got {clamp!r}")
    t = _discounted(mdp)
    floor = _mixed(recoil_floor, beta, d_e, d_s) if clamp == "exact" else np.zeros(t.R.shape)
    return _recoil(t, d_e, d_s, beta, key, (1 - t.gamma) * t.mu0, _of_v(t), floor)


def recoil_q(mdp: TabularMDP, policy: Any, d_e: Any, d_s: Any, beta: float, key: str) -> Dual:
    """-D_f between the mixtures of one policy and of `d_e` with `d_s`, by its dual over Q."""
    t = _discounted(mdp)
    pi = policy_table(policy, t)
    start = (1 - t.gamma) * (t.mu0[:, None] * pi).ravel()
    d = discounted_occupancy(mdp, pi)
    _check_covers(_mixed(mixture, beta, d, d_s), _mixed(mixture, beta, d_e, d_s), divergence(key))
    return _recoil(t, d_e, d_s, beta, key, start, _of_q(t, pi), None)


def recoil_value(d: Any, d_e: Any, d_s: Any, beta: float, key: str) -> float:
    """-D_f(beta d + (1 - beta) dS || beta dE + (1 - beta) dS)."""
    return -_between(divergence(key), _mixed(mixture, beta, d, d_s), _mixed(mixture, beta, d_e, d_s))


def _recoil(
    t: Tables, d_e: Any, d_s: Any, beta: float, key: str, start: np.ndarray, A: np.ndarray, floor: Any
) -> Dual:
    if not 0 < beta < 1:
        raise UsageError(f"beta: must lie in (0, 1), got {beta}")
    d_s = np.asarray(d_s, np.float64)
    d_mix = _mixed(mixture, beta, d_e, d_s)
    c = beta * start - (1 - beta) * A.T @ d_s.ravel()
    p = Programme(c, A, np.zeros(d_mix.size), d_mix.ravel(), None if floor is None else floor.ravel())
    found = minimise(p, key, _start(p, divergence(key), t.gamma))
    d = (found.measure.reshape(d_mix.shape) - (1 - beta) * d_s) / beta
    return _dual(found, 1.0, d, recoil_value(d, d_e, d_s, beta, key), flow=found.residual / beta)


def _dual(found: Solution, alpha: float, d: np.ndarray, primal: float, flow: float | None = None) -> Dual:
    x = alpha * found.x
    return Dual(
        value=alpha * found.value,
        variable=x if x.size == len(d) else x.reshape(d.shape),
        y=found.y.reshape(d.shape),
        d=d,
        primal=primal,
        flow=found.residual if flow is None else flow,
    )


def _of_v(t: Tables) -> np.ndarray:
    """`[S * A, S]`, V -> gamma P V - V."""
    S, A = t.R.shape
    return t.gamma * t.P.reshape(S * A, S) - np.repeat(np.eye(S), A, axis=0)


def _of_q(t: Tables, pi: np.ndarray) -> np.ndarray:
    """`[S * A, S * A]`, Q -> gamma P^pi Q - Q."""
    P = np.einsum("sat,tb->satb", t.P, pi).reshape(pi.size, pi.size)
    return t.gamma * P - np.eye(pi.size)


def _start(p: Programme, f: Divergence, gamma: float) -> np.ndarray:
    """The constant variable at which the ratios have mean 1: inside every domain, at the right scale."""
    if f.key == "tv":
        return np.zeros(p.A.shape[1])
    used = p.weight > 0
    # y = b - shift; at the upper end every ratio is <= 1, at the lower one >= 1, or some y near the edge
    high, low = p.b.max() - float(f.f_prime(np.ones(()))), p.b.min() - float(f.f_prime(np.ones(())))
    low = max(low, p.b.max() - f.f_prime_inf + 0.1)
    with jax.enable_x64(True):
        for _ in range(60):
            middle = (low + high) / 2
            ratio = np.asarray(f.w(p.b[used] - middle))
            low, high = (low, middle) if p.weight[used] @ ratio <= 1 else (middle, high)
    return np.full(p.A.shape[1], high / (1 - gamma))


def _between(f: Divergence, p: np.ndarray, q: np.ndarray) -> float:
    with jax.enable_x64(True):
        return float(f.between(p, q))


def _mixed(function: Any, beta: float, first: Any, d_s: Any) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(function(beta, np.asarray(first, np.float64), np.asarray(d_s, np.float64)))


def _discounted(mdp: TabularMDP) -> Tables:
    t = tables(mdp)
    if t.horizon is not None or t.gamma == 1:
        raise UsageError("mdp.gamma: duality over discounted occupancies needs stationary tables, gamma < 1")
    return t


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < math.inf:
        raise UsageError(f"alpha: must be positive and finite, got {alpha}")


def _check_covers(d: np.ndarray, d_o: np.ndarray, f: Divergence) -> None:
    if np.isinf(f.f_prime_inf) and np.any((d > 0) & (d_o == 0)):
        raise UsageError(
            f"policy: leaves the support of the reference, where {f.key} is infinite; use tv, hel or js"
        )


def _reachable(t: Tables) -> np.ndarray:
    """bool`[S]`."""
    reached = t.mu0 > 0
    for _ in range(len(reached)):
        reached = reached | (t.P[reached] > 0).any((0, 1))
    return reached


def _check_support(t: Tables, d_o: np.ndarray, f: Divergence) -> None:
    """Whether some occupancy lives where `d_o` does, by a linear programme, unless that is no constraint; and
    everywhere there, if f(0) is infinite.
    """
    if d_o.shape != t.R.shape or np.any(d_o < 0) or abs(d_o.sum() - 1) > 1e-8:
        raise UsageError(f"d_o: must be a distribution of shape [S, A] = {t.R.shape} and sum 1")
    if np.isinf(f.f_zero) and np.any(d_o[~_reachable(t)] > 0):
        raise UsageError(
            f"d_o: is positive in a state that nobody reaches; {f.key} is infinite for every policy"
        )
    if np.all(d_o > 0) or np.isfinite(f.f_prime_inf):
        return
    bounds = [(0, None) if x > 0 else (0, 0) for x in d_o.ravel()]
    out = linprog(np.zeros(d_o.size), A_eq=-_of_v(t).T, b_eq=(1 - t.gamma) * t.mu0, bounds=bounds)
    if out.status == 2:
        raise UsageError(
            f"d_o: no policy stays within its support, so that {f.key} is infinite for all of them"
        )
