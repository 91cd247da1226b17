"""ReCOIL with chi2 is a contrast between policy and expert plus a Bellman error on the mixture.

Statement. If d^E is an occupancy from d0, then for every Q and pi, with y = gamma P^pi Q - Q and f* of
chi2,
    beta (1 - gamma) E_{d0, pi}[Q] + E_mix[f*(y)] - (1 - beta) E_dS[y]
        = beta (E_{s ~ dE, a ~ pi}[Q] - E_dE[Q]) + 1/4 E_mix[y^2].
With states of d^S in the first term, as printed in sikchi2024dual, it is a surrogate and no identity; if
d^S is an occupancy, beta gamma (E_dE - E_dS)[Q(s', pi)] is missing from it.

Check. 100 random MDPs, policies and normal Q; both exact forms.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.dual_rl.divergences import divergence
from jaxrl.dual_rl.objectives import mixture, recoil_objective
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.result import Result, identity
from theory.exact.tables import Tables, random_policies, tables


def instance(seed: int, n: int = 100) -> tuple[list[Problem], np.ndarray]:
    """`n` random problems and a policy `[n, 5, 3]` for each."""
    return random_problems(seed, n, uncovered=3), random_policies(seed + 1000, n, 5, 3)


def contrasts(p: Problem, t: Tables, v: np.ndarray, q: np.ndarray) -> tuple[float, ...]:
    """The terms beside the square, without beta: from states of d^E, and from those of d^S; v = E_pi[Q]."""
    successor = t.gamma * t.P @ v
    of_expert = p.d_e.sum(1) @ v - (p.d_e * q).sum()
    of_data = p.d_s.sum(1) @ v - (p.d_e * q).sum() + ((p.d_e - p.d_s) * successor).sum()
    return float(of_expert), float(of_data)


def printed(p: Problem, t: Tables, v: np.ndarray, q: np.ndarray) -> tuple[float, ...]:
    """The term as printed."""
    return (float(p.d_s.sum(1) @ v - (p.d_e * q).sum()),)


def check(terms=contrasts, beta: float = 0.3) -> Result:
    """Left minus right."""
    errors, rng, f = [], np.random.default_rng(12), divergence("chi2")
    for problem, pi in zip(*instance(12), strict=True):
        t, q = tables(problem.mdp), rng.normal(size=pi.shape)
        v = (pi * q).sum(1)
        y = t.gamma * t.P @ v - q
        with jax.enable_x64(True):
            start = (1 - t.gamma) * t.mu0 @ v
            left = recoil_objective(start, y, problem.d_e, problem.d_s, beta, f.f_star(y))
            square = (mixture(beta, problem.d_e, problem.d_s) * y**2).sum() / 4
        errors += [float(left) - beta * term - float(square) for term in terms(problem, t, v, q)]
    return identity(np.array(errors))


def broken() -> Result:
    """The printed form."""
    return check(printed)
