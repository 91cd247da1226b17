"""Runs a row of the table of methods exactly: one function, no method by name."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.dual_rl.divergences import divergence
from jaxrl.dual_rl.methods import Method
from jaxrl.dual_rl.objectives import awr_weight
from theory.dual_rl.duality import dual_q, dual_v, recoil_q, recoil_v
from theory.dual_rl.gradients import at_rest, semi_q
from theory.dual_rl.imitation import pseudo_reward, recoil_released
from theory.dual_rl.maximisers import fixed_point
from theory.dual_rl.reference import Problem
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.tables import tables

AWR_TEMPERATURE = 3.0


class Solved(NamedTuple):
    """variable: float64`[S]` or `[S, A]`, the method's V or Q; policy: float64`[S, A]`; d: its occupancy;
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


def _extract(row: Method, alpha: float, y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        if row.extraction == "awr":
            weight = awr_weight(jnp.asarray(y), AWR_TEMPERATURE)
        else:
            weight = divergence(row.divergence).w(jnp.asarray(y) / alpha)
        return policy_of(mu * np.asarray(weight))


def _solved(problem: Problem, variable: np.ndarray, policy: np.ndarray) -> Solved:
    d = discounted_occupancy(problem.mdp, policy)
    return Solved(variable, policy, d, float((d * tables(problem.mdp).R).sum()))
