"""Constrained programmes reach concave parts of a front, and randomise in no more states than constraints.

Statement. The returns of stochastic policies are a convex set, so that a constrained optimum lies on the
hull also where the deterministic front is concave and weights find its ends alone. A basic optimal
solution randomises in at most as many states as there are constraints. (Altman 1999, theorem 3.8.)

Check. Concave Deep Sea Treasure without discount, the largest treasure within T steps on average: 1 + 123
(T - 1) / 18 for T = 1 .. 19. Formula problem with 3 objectives and 2 constraints: states that randomise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact import lp
from theory.exact.pareto import convex_coverage_set
from theory.exact.result import Result
from theory.morl.instances import formula_mdp, treasure
from theory.morl.oracles import extend

TOLERANCE = 1e-7  # of the linear programmes
TIMES = np.arange(1, 20)

Largest = Callable[[TabularMDP, int], float]


def instance() -> tuple[TabularMDP, TabularMDP]:
    """Deep Sea Treasure, and the formula problem with 3 objectives."""
    return treasure("concave", 1.0), formula_mdp(3)


def within(mdp: TabularMDP, T: int) -> float:
    """The largest expected treasure of policies that end within `T` steps on average."""
    return float(extend(mdp, 0, np.array([0.0, -T])).returns[0])


def randomised(solution: lp.Primal) -> int:
    """Visited states with more than one action."""
    visited = solution.visits.sum(-1) > 1e-9
    return int(((solution.policy > 1e-9).sum(-1) > 1)[visited].sum())


def check(largest: Largest = within) -> Result:
    """Largest error of the treasures, and 1 for every state too many."""
    sea, formula = instance()
    errors = [abs(largest(sea, T) - (1 + 123 * (T - 1) / 18)) for T in TIMES]
    errors += [float(randomised(extend(sea, 0, np.array([0.0, -T]))) > 1) for T in TIMES]
    for start in convex_coverage_set(formula)[::3]:
        errors += [float(randomised(extend(formula, l, 0.9 * start)) > 2) for l in range(3)]
    return Result(max(errors), TOLERANCE, max(errors) <= TOLERANCE)


def broken() -> Result:
    """The best of the policies that are optimal for some weights, of those within `T` steps."""

    def supported(mdp: TabularMDP, T: int) -> float:
        front = convex_coverage_set(mdp)
        return float(front[front[:, 1] >= -T - 1e-9, 0].max())

    return check(supported)
