"""Exact solutions of the rows of the table of methods, by one function that reads their columns."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.dual_rl.methods import Method
from jaxrl.dual_rl.objectives import awr_weight, dual_weight
from theory.dual_rl.duality import dual_q, dual_v, recoil_q, recoil_v
from theory.dual_rl.gradients import at_rest, semi_q
from theory.dual_rl.imitation import pseudo_reward, recoil_released
from theory.dual_rl.maximisers import fixed_point
from theory.dual_rl.reference import Problem
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.tables import tables

AWR_TEMPERATURE = 3.0
ROUNDING = 1e-9  # of residuals at a fixed point


class Solved(NamedTuple):
    """Exact solution of a method on a finite MDP.

    variable: float64`[S]` or `[S, A]`, the method's V or Q; policy: float64`[S, A]`; d: its occupancy;
    j: float, (1 - gamma) times its return.
    """

    variable: np.ndarray
    policy: np.ndarray
    d: np.ndarray
    j: float


def run(row: Method, problem: Problem, parameter: float | None = None) -> Solved:
    """The fixed point or optimum of a method, and the policy it extracts.

    parameter: instead of the row's. Refusals are those of the solvers that the row leads to.
    """
    parameter = row.parameter if parameter is None else parameter
    mdp, t = problem.mdp, tables(problem.mdp)
    reference = {"data": problem.d_o, "suboptimal": problem.d_s, "expert": problem.d_e}.get(row.reference)
    reward = {
        "task": lambda: t.R,
        "zero": lambda: np.zeros_like(t.R),
        "log_ratio": lambda: pseudo_reward(problem.d_e, problem.d_s),
    }[row.reward]()
    if row.released:
        released = recoil_released(mdp, problem.d_e, problem.d_s, temperature=parameter, awr=AWR_TEMPERATURE)
        return _solved(problem, released.v, released.policy)
    if row.reference == "mixture":
        found = recoil_v(mdp, problem.d_e, problem.d_s, parameter, row.divergence)
        if row.dual == "V":
            return _solved(problem, found.variable, found.policy)
        inner = recoil_q(mdp, found.policy, problem.d_e, problem.d_s, parameter, row.divergence)
        return _solved(problem, inner.variable, found.policy)
    if row.gradient == "full":
        best = dual_v(mdp, reference, row.divergence, parameter, reward=reward)
        if row.dual == "V":
            return _solved(problem, best.variable, best.policy)
        inner = dual_q(mdp, best.policy, reference, row.divergence, parameter, reward=reward)
        return _solved(problem, inner.variable, best.policy)
    if row.dual == "Q":
        q, policy = semi_q(mdp, reference, row.divergence, parameter)
        return _solved(problem, q, policy)
    if row.gradient == "orthogonal":
        rest = at_rest(mdp, reference, row.divergence, parameter, "orthogonal")
        return _solved(problem, rest.v, rest.policy)
    mu = policy_of(reference)
    v = fixed_point(row.maximiser, parameter, mdp.replace(R=reward), mu)
    return _solved(problem, v, _extract(row, parameter, reward + t.gamma * t.P @ v - v[:, None], mu))


def _extract(row: Method, parameter: float, y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """float64`[S, A]`, the policy of the residuals y `[S, A]` at the minimum over V.

    Where lambda is the parameter, E_mu[ratio] = (1 - lambda) / lambda: what the ratios lack of that belongs
    to the actions at the kink y = 0 of losses cut there.
    """
    y = np.where(np.abs(y) > ROUNDING, y, 0.0)
    with jax.enable_x64(True):
        if row.extraction == "awr":
            return policy_of(mu * np.asarray(awr_weight(jnp.asarray(y), AWR_TEMPERATURE)))
        visits = mu * np.asarray(dual_weight(row.maximiser, jnp.asarray(y), parameter))
    if row.maximiser.tempered:
        return policy_of(visits)
    lacking = np.maximum((1 - parameter) / parameter - visits.sum(-1, keepdims=True), 0)
    at_kink = np.where(y == 0, mu, 0)
    return policy_of(visits + lacking * policy_of(at_kink) * (at_kink.sum(-1, keepdims=True) > 0))


def _solved(problem: Problem, variable: np.ndarray, policy: np.ndarray) -> Solved:
    d = discounted_occupancy(problem.mdp, policy)
    return Solved(variable, policy, d, float((d * tables(problem.mdp).R).sum()))
