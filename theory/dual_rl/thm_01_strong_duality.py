"""The dual over V has the value of the best regularised occupancy, and its stationarity is the flow.

Statement. For gamma < 1, alpha > 0, a distribution d^O > 0 and a convex f,
    max_d E_d[r] - alpha D_f(d || d^O)  =  min_V (1 - gamma) E_d0[V] + alpha E_dO[f*_p(y)],
    y = (r + gamma P V - V) / alpha,
over occupancies d, with f*_p the conjugate over ratios >= 0, and d = d^O (f*_p)'(y) attains it
(sikchi2024dual).

Check. 3 random MDPs x 7 divergences x alpha 1 and 0.1: the dual value against the primal value of the
occupancy of the extracted policy, computed forwards by a linear solve, and against d itself.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.dual_rl.divergences import DIVERGENCES, divergence
from theory.dual_rl.duality import dual_v
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.occupancy import discounted_occupancy
from theory.exact.result import Result, identity
from theory.exact.tables import tables


def instance(seed: int, n: int = 3) -> list[Problem]:
    """`n` random MDPs with random behaviour."""
    return random_problems(seed, n)


def check(clamped: bool = True, keys: tuple[str, ...] = tuple(DIVERGENCES)) -> Result:
    """Gap between dual and primal, and between recovered and true occupancy."""
    errors = []
    for problem in instance(1):
        for key in keys:
            for alpha in (1.0, 0.1):
                dual = dual_v(problem.mdp, problem.d_o, key, alpha, clamped=clamped)
                d = discounted_occupancy(problem.mdp, dual.policy)
                with jax.enable_x64(True):
                    price = alpha * float(divergence(key).between(d, problem.d_o))
                errors += [np.abs(d - dual.d).max(), dual.value - ((d * tables(problem.mdp).R).sum() - price)]
    return identity(np.array(errors))


def broken() -> Result:
    """The conjugate over all real ratios, as when f* of chi2 stands in the loss: d goes below 0."""
    return check(clamped=False, keys=("chi2",))
