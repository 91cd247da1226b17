"""One sampled successor inside a square adds the variance of its value.

Statement. For every V, Q and distribution d^O, with s' ~ P(.|s, a),
    E[(r + gamma V(s') - Q)^2] - E[(r + gamma P V - Q)^2] = gamma^2 E[Var V(s')],
so that the chi2 dual estimated from one-step errors is too large by gamma^2 E Var / (4 alpha).

Check. 100 random MDPs, all three expectations exact.
"""

from __future__ import annotations

import numpy as np

from theory.dual_rl.reference import Problem, random_problems
from theory.exact.result import Result, identity
from theory.exact.tables import Tables, tables


def instance(seed: int, n: int = 100) -> list[Problem]:
    """`n` random problems."""
    return random_problems(seed, n)


def excess(t: Tables, d_o: np.ndarray, v: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """`(E[(r + gamma V(s') - Q)^2], E[(r + gamma P V - Q)^2])`."""
    sampled = (t.P * (t.R[..., None] + t.gamma * v - q[..., None]) ** 2).sum(-1)
    return float((d_o * sampled).sum()), float((d_o * (t.R + t.gamma * t.P @ v - q) ** 2).sum())


def check(power: int = 2) -> Result:
    """Left minus right, with gamma to `power`."""
    errors, rng = [], np.random.default_rng(5)
    for problem in instance(5):
        t = tables(problem.mdp)
        v, q = rng.normal(size=5), rng.normal(size=(5, 3))
        sampled, exact = excess(t, problem.d_o, v, q)
        variance = t.P @ v**2 - (t.P @ v) ** 2
        errors.append(sampled - exact - t.gamma**power * (problem.d_o * variance).sum())
    return identity(np.array(errors))


def broken() -> Result:
    """The discount outside the square."""
    return check(power=1)
