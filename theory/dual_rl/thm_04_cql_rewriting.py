"""With chi2 and data that are a visitation, the dual over Q is the objective of CQL and ATAC.

Statement. If d^O is the occupancy of some policy from d0, then for every Q and pi, with T Q = r + gamma
P^pi Q,
    (1 - gamma) E_{d0, pi}[Q] + alpha E_dO[f*((T Q - Q) / alpha)]
        = E_{s ~ dO, a ~ pi}[Q] - E_dO[Q] + E_dO[r] + 1 / (4 alpha) E_dO[(T Q - Q)^2],    f* of chi2
(sikchi2024dual). It is false for other distributions.

Check. 100 random MDPs, policies and normal Q.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from jaxrl.dual_rl.divergences import divergence
from jaxrl.dual_rl.objectives import dual_q_objective
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.result import Result, identity
from theory.exact.tables import random_policies, tables


def instance(seed: int, n: int = 100) -> tuple[list[Problem], np.ndarray]:
    """`n` random problems and a policy `[n, 5, 3]` for each."""
    return random_problems(seed, n), random_policies(seed + 1000, n, 5, 3)


def visitation(problem: Problem) -> np.ndarray:
    """`[S, A]`, d^O of the behaviour."""
    return problem.d_o


def check(reference: Callable[[Problem], np.ndarray] = visitation, alpha: float = 0.7) -> Result:
    """Left minus right."""
    errors, rng = [], np.random.default_rng(4)
    for problem, pi in zip(*instance(4), strict=True):
        t, d_o, q = tables(problem.mdp), reference(problem), rng.normal(size=pi.shape)
        delta = t.R + t.gamma * t.P @ (pi * q).sum(1) - q
        start = (1 - t.gamma) * t.mu0 @ (pi * q).sum(1)
        with jax.enable_x64(True):
            left = float(dual_q_objective(start, delta / alpha, d_o, alpha, divergence("chi2")))
        right = d_o.sum(1) @ (pi * q).sum(1) - (d_o * q).sum() + (d_o * t.R).sum()
        errors.append(left - right - (d_o * delta**2).sum() / (4 * alpha))
    return identity(np.array(errors))


def broken() -> Result:
    """The uniform distribution, which is no visitation."""
    return check(lambda problem: np.full(problem.d_o.shape, 1 / problem.d_o.size))
