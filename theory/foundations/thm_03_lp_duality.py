"""The linear programmes over visits and over values both have the value J*.

Statement. For a finite MDP with gamma < 1 the maximum of <x, R> over x >= 0 with
    sum_a x(s, a) - gamma sum_{s', a'} P(s | s', a') x(s', a') = mu0(s)
equals the minimum of <mu0, v> over v >= R + gamma P v, and both equal J* (Puterman 1994, section 6.9).
Feasible x are exactly the discounted visits of policies: x -> pi(a | s) = x(s, a) / x(s) -> visits(pi) is the
identity.

Check. 100 random MDPs: primal, dual and policy iteration; visits of a random policy and of the LP's policy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact import lp
from theory.exact.occupancy import discounted_occupancy, discounted_visits, flow_residual, policy_of
from theory.exact.optimal_control import solve
from theory.exact.result import Result, identity
from theory.exact.tables import random_mdps, random_policies


def instance(seed: int, n: int = 100) -> tuple[list[TabularMDP], np.ndarray]:
    """`n` random MDPs of 5 states and 3 actions, and a policy `[n, 5, 3]` for each."""
    return random_mdps(seed, n, 5, 3), random_policies(seed + 1, n, 5, 3)


def initial_distribution(mdp: TabularMDP) -> TabularMDP:
    """The MDP whose dual is solved."""
    return mdp


def check(dual_of: Callable[[TabularMDP], TabularMDP] = initial_distribution) -> Result:
    """Duality gap, distance to policy iteration, flow residual, and the round trip x -> pi -> x."""
    errors = []
    for mdp, pi in zip(*instance(3), strict=True):
        best, primal, dual = solve(mdp), lp.primal(mdp), lp.dual(dual_of(mdp))
        d = discounted_occupancy(mdp, pi)
        errors += [primal.value - dual.value, primal.value - best.j, flow_residual(mdp, d)]
        errors += [d.sum() - 1, np.abs(discounted_occupancy(mdp, policy_of(d)) - d).max()]
        errors += [np.abs(discounted_visits(mdp, primal.policy) - primal.visits).max()]
    return identity(np.array(errors))


def broken() -> Result:
    """A dual that weighs all states alike instead of by the initial distribution."""
    return check(lambda mdp: mdp.replace(mu0=np.full_like(mdp.mu0, 1 / len(mdp.mu0))))
