"""Cut at zero, conjugates are implicit maximisers: exact from a threshold of lambda on.

Statement. Let h be 0 below 0 and f* above, for chi2 or tv, and V(lambda) the fixed point of its value loss.
V does not decrease in lambda and never exceeds the optimal value V* of the actions with mu > 0; it equals
V* as soon as lambda > 1 / (1 + p), p = min_s mu(a*|s).

Check. 20 random MDPs x lambda 0.55 ... 0.95 and the threshold plus 1e-6: V(lambda) - V*, V(lambda) minus
the next V, and V* minus V beyond the threshold.
"""

from __future__ import annotations

import numpy as np

from jaxrl.dual_rl.objectives import Maximiser, conjugate
from theory.dual_rl.maximisers import fixed_point
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.occupancy import policy_of
from theory.exact.optimal_control import solve
from theory.exact.result import Result, inequality

RELU = (conjugate("chi2", "relu"), conjugate("tv", "relu"))


def instance(seed: int, n: int = 20) -> list[Problem]:
    """`n` random problems."""
    return random_problems(seed, n)


def check(maximisers: tuple[Maximiser, ...] = RELU) -> Result:
    """All three differences, in units of the largest value."""
    excess = []
    for problem in instance(7):
        best, mu = solve(problem.mdp), policy_of(problem.d_o)
        p = mu[np.arange(5), best.policy].min()
        threshold = 1 / (1 + p) + 1e-6
        lambdas = np.unique([*np.linspace(0.55, 0.95, 9), threshold])
        for maximiser in maximisers:
            v = fixed_point(maximiser, lambdas, problem.mdp, mu)
            differences = v - best.v, v[:-1] - v[1:], best.v - v[lambdas >= threshold]
            # fixed points are known to 1e-14 / (1 - gamma) of their size
            excess += [x.max() / np.abs(v).max() for x in differences]
    return inequality(excess, 0.0)


def broken() -> Result:
    """The exact conjugate of chi2 in place of the cut one."""
    return check((conjugate("chi2", "exact"),))
