"""Backups of implicit maximisers contract with the discount, because their losses are convex in V.

Statement. For M(Q)(s) = argmin_v E_mu[loss(Q - v)] with a convex loss, and all V, W,
    |M(r + gamma P V) - M(r + gamma P W)|_max <= gamma |V - W|_max,
with equality where V - W is constant.

Check. 100 random MDPs, pairs (V, W) at distances from 1e-2 to 1e2 and pairs that differ by a constant; chi2
(cut at 0, exact, as released), tv cut at 0, the Gumbel and the expectile loss.
"""

from __future__ import annotations

import numpy as np

from jaxrl.dual_rl.objectives import EXPECTILE, GUMBEL, conjugate
from theory.dual_rl.maximisers import implicit_maximum
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.occupancy import policy_of
from theory.exact.result import Result, inequality
from theory.exact.tables import tables

CONVEX = (
    (conjugate("chi2", "relu"), 0.7),
    (conjugate("chi2", "exact"), 0.7),
    (conjugate("chi2", "literal"), 0.7),
    (conjugate("tv", "relu"), 0.7),
    (GUMBEL, 1.0),
    (EXPECTILE, 0.7),
)


def instance(seed: int, n: int = 100) -> list[Problem]:
    """`n` random problems."""
    return random_problems(seed, n)


def check(discount: float = 0.9) -> Result:
    """Distance after the backup minus 0.9 times the distance before, in units of the largest value."""
    rng, excess = np.random.default_rng(9), []
    problems = instance(9)
    mu = np.stack([policy_of(problem.d_o) for problem in problems])
    v = 10 * rng.normal(size=(len(problems), 5))
    w = v + 10 ** rng.uniform(-2, 2, (len(problems), 1)) * rng.normal(size=v.shape)

    def backup(values: np.ndarray) -> np.ndarray:
        pairs = zip(map(tables, (problem.mdp for problem in problems)), values, strict=True)
        return np.stack([t.R + discount * t.P @ x for t, x in pairs])

    for maximiser, parameter in CONVEX:
        after = implicit_maximum(maximiser, parameter, backup(v), mu)
        for other in (w, v + 1.0):
            moved = np.abs(implicit_maximum(maximiser, parameter, backup(other), mu) - after).max()
            scale = np.abs(other).max()
            excess.append((moved - 0.9 * np.abs(v - other).max()) / scale)
    return inequality(excess, 0.0)


def broken() -> Result:
    """The discount forgotten in the backup."""
    return check(discount=1.0)
