"""Demonstrations that no policy can produce need ReCOIL's ratio bounded by (1 - beta) d^S / mix, not by 0.

Statement. The occupancy in the mixture is >= 0 iff the ratio of mixtures is >= l = (1 - beta) d^S / mix. With
conjugates over ratios >= l, the dual over V has the value of the primal for every distribution d^E, and d =
(mix w - (1 - beta) d^S) / beta is the maximiser. With ratios >= 0 alone the value is an upper bound, strict
where that d has negative entries; the two agree if d^E is an occupancy.

Check. Demonstrations of 6 steps on 20 random MDPs, beta 0.5, chi2 and hel: value against -D_f of the
occupancy of the recovered policy, computed forwards.
"""

from __future__ import annotations

import numpy as np

from theory.dual_rl.duality import Clamp, recoil_v, recoil_value
from theory.dual_rl.reference import Problem, demonstration, random_problems
from theory.exact.occupancy import discounted_occupancy
from theory.exact.result import Result, identity


def instance(seed: int, n: int = 20) -> list[Problem]:
    """`n` random problems whose expert is an empirical distribution."""
    problems = random_problems(seed, n)
    return [p._replace(d_e=demonstration(p.mdp, start=4, length=6)) for p in problems]


def check(clamp: Clamp = "exact") -> Result:
    """Dual minus primal of the policy that it recommends."""
    errors = []
    for problem in instance(13):
        for key in ("chi2", "hel"):
            dual = recoil_v(problem.mdp, problem.d_e, problem.d_o, 0.5, key, clamp)
            d = discounted_occupancy(problem.mdp, dual.policy)
            errors.append(dual.value - recoil_value(d, problem.d_e, problem.d_o, 0.5, key))
    return identity(np.array(errors))


def broken() -> Result:
    """The clamp at 0."""
    return check("nonneg")
