"""The semi-gradient of KL regularises actions; the full gradient regularises states as well.

Statement. Let V = log E_{a ~ mu} exp(r + gamma P V), the rest of the semi-gradient of kl_n at alpha 1, and
d the occupancy of its policy mu exp(r + gamma P V - V). If d^O has the conditional mu, then
    (1 - gamma) E_d0[V] = E_d[r] - E_d[KL(pi || mu)]            and
    KL(d || d^O)        = E_d[KL(pi || mu)] + KL(d(s) || d^O(s)),
so that the full dual is the smaller one.

Check. 100 random MDPs with random behaviour.
"""

from __future__ import annotations

import numpy as np

from jaxrl.dual_rl.objectives import GUMBEL
from theory.dual_rl.maximisers import fixed_point
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.result import Result, identity
from theory.exact.tables import tables


def instance(seed: int, n: int = 100) -> list[Problem]:
    """`n` random problems."""
    return random_problems(seed, n)


def check(states: bool = True) -> Result:
    """Both identities."""
    errors = []
    for problem in instance(3):
        t, mu = tables(problem.mdp), policy_of(problem.d_o)
        v = fixed_point(GUMBEL, 1.0, problem.mdp, mu)
        pi = mu * np.exp(t.R + t.gamma * t.P @ v - v[:, None])
        d = discounted_occupancy(problem.mdp, pi)
        actions = (d * np.log(pi / mu)).sum()
        rest = (d.sum(1) * np.log(d.sum(1) / problem.d_o.sum(1))).sum() if states else 0.0
        errors.append((1 - t.gamma) * t.mu0 @ v - (d * t.R).sum() + actions)
        errors.append((d * np.log(d / problem.d_o)).sum() - actions - rest)
    return identity(np.array(errors))


def broken() -> Result:
    """The two penalties taken for one."""
    return check(states=False)
