"""The dual over Q evaluates one policy, with the conjugate over all real ratios.

Statement. For gamma < 1, alpha > 0, d^O > 0, a smooth convex f, and the occupancy d of a policy pi,
    E_d[r] - alpha D_f(d || d^O) = min_Q (1 - gamma) E_{d0, pi}[Q] + alpha E_dO[f*(y)],
    y = (r + gamma P^pi Q - Q) / alpha,
attained where y = f'(d / d^O) (sikchi2024dual).

Check. 50 random policies on random MDPs, with the divergences in turn: minimum by Newton's method, its
value at the closed form, and the left side by a linear solve.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
import numpy as np

from jaxrl.dual_rl.divergences import DIVERGENCES, divergence
from jaxrl.dual_rl.objectives import dual_q_objective
from theory.dual_rl.duality import dual_q, dual_q_closed_form
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.occupancy import discounted_occupancy
from theory.exact.result import Result, identity
from theory.exact.tables import Tables, random_policies, tables

SMOOTH = tuple(key for key in DIVERGENCES if key != "tv")


def instance(seed: int, n: int = 50) -> tuple[list[Problem], np.ndarray]:
    """`n` random problems and a policy `[n, 5, 3]` for each."""
    return random_problems(seed, n), random_policies(seed + 1000, n, 5, 3)


def start(t: Tables, pi: np.ndarray) -> np.ndarray:
    """`[S, A]`, distribution of the first pair."""
    return t.mu0[:, None] * pi


def check(first: Callable[[Tables, np.ndarray], np.ndarray] = start) -> Result:
    """Both forms of the right side minus the left one."""
    errors = []
    problems, policies = instance(2)
    for problem, pi, key in zip(problems, policies, itertools.cycle(SMOOTH), strict=False):
        t, alpha, f = tables(problem.mdp), 0.7, divergence(key)
        d, q = (
            discounted_occupancy(problem.mdp, pi),
            dual_q_closed_form(problem.mdp, pi, problem.d_o, key, 0.7),
        )
        y = (t.R + t.gamma * t.P @ (pi * q).sum(1) - q) / alpha
        with jax.enable_x64(True):
            left = (d * t.R).sum() - alpha * float(f.between(d, problem.d_o))
            right = dual_q_objective((1 - t.gamma) * (first(t, pi) * q).sum(), y, problem.d_o, alpha, f)
        errors += [float(right) - left, dual_q(problem.mdp, pi, problem.d_o, key, alpha).value - left]
    return identity(np.array(errors))


def broken() -> Result:
    """First actions of the uniform policy."""
    return check(lambda t, pi: t.mu0[:, None] * np.full_like(pi, 1 / pi.shape[1]))
