"""With beta = 1 the extension of a Pareto-optimal policy has no other return than its own.

Statement. If the return G of pi_r is Pareto optimal, every policy with G_j(pi) >= G_j for all j != l and
the largest G_l has the return G. A share beta < 1 is what lets the extension move.
(Follows from the definition of Pareto optimality.)

Check. Formula problems with 2 and 3 objectives, from every vertex of the coverage set, every l.
"""

from __future__ import annotations

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.pareto import convex_coverage_set
from theory.exact.result import Result
from theory.morl.instances import formula_mdp
from theory.morl.oracles import extend

TOLERANCE = 1e-8  # of the linear programmes


def instance(m: int) -> tuple[TabularMDP, np.ndarray]:
    """A problem with `m` objectives, and the vertices float64[K, m] of its convex coverage set."""
    mdp = formula_mdp(m)
    return mdp, convex_coverage_set(mdp)


def check(beta: float = 1.0) -> Result:
    """Largest change of a return."""
    moved = []
    for m in (2, 3):
        mdp, vertices = instance(m)
        for start in vertices:
            # rounding of the start must not make the problem infeasible
            moved += [np.abs(extend(mdp, l, beta * start - 1e-11).returns - start).max() for l in range(m)]
    measured = float(max(moved))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """Thresholds that retain 99 in 100 parts."""
    return check(0.99)
