"""Optima of the extension problem are weakly Pareto optimal, and Pareto optimal where they are unique.

Statement. Let pi maximise G_l among policies with G_j >= d_j for all j != l. No policy is better than pi
in all objectives: min over w in the simplex of h(w) - w . G(pi) is 0, with the support function h of all
returns. If the return of the optimum is unique, no other return is at least as good everywhere.
(Miettinen 1999, theorems 3.2.1 and 3.2.4.)

Check. Formula problems with 2 and 3 objectives, every vertex of the coverage set as a start, every l,
three shares beta: min_w h(w) - w . G = 0, and the largest sum of objectives beyond G that any policy
reaches is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact import lp
from theory.exact.pareto import convex_coverage_set
from theory.exact.result import Result
from theory.morl.instances import formula_mdp
from theory.morl.oracles import extend, improvement

TOLERANCE = 1e-7  # bounds are lowered by 1e-10, and what that gains is multiplied by the trade-off

Solver = Callable[[TabularMDP, int, np.ndarray], np.ndarray]


def instance(m: int) -> tuple[TabularMDP, np.ndarray]:
    """A problem with `m` objectives, and the vertices float64[K, m] of its convex coverage set."""
    mdp = formula_mdp(m)
    return mdp, convex_coverage_set(mdp)


def optimum(mdp: TabularMDP, l: int, thresholds: np.ndarray) -> np.ndarray:
    """float64[m], the return of a solution of the extension problem."""
    return extend(mdp, l, thresholds).returns


def check(solver: Solver = optimum) -> Result:
    """Largest possible improvement of an optimum, in all objectives at once and in their sum."""
    worst = []
    for m in (2, 3):
        mdp, vertices = instance(m)
        for start in vertices[:: m - 1]:
            for l in range(m):
                for beta in (0.8, 0.9, 0.99):
                    G = solver(mdp, l, beta * start)
                    above = lp.primal(mdp, np.ones(m), G - 1e-10).returns
                    worst += [abs(improvement(vertices, G)), above.sum() - G.sum()]
    measured = float(max(worst))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """A policy that meets the constraints and has the smallest G_l."""

    def worst(mdp: TabularMDP, l: int, thresholds: np.ndarray) -> np.ndarray:
        others = np.where(np.arange(mdp.reward_dim) == l, -np.inf, thresholds)
        return lp.primal(mdp, -np.eye(mdp.reward_dim)[l], others).returns

    return check(worst)
