"""With exact learners C-MORL never loses hypervolume, stays below the hull, and closes most of the gap.

Statement. Let every extension be solved exactly and nothing be pruned. The hypervolume of the archive
does not fall from round to round and never exceeds that of the hull of all returns; constrained extension
reaches points that no weights reach. (Monotonicity follows from the definition; the closing of the gap is
measured.)

Check. Formula problems with 2 objectives (lattice 1/5, N = 3, beta .9 and .95) and 3 objectives (lattice
1/2, N = 4, beta .9), 6 rounds: falls and excesses are 0, and less than a fifth of the first gap to the
hull is left.
"""

from __future__ import annotations

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.morl.metrics import hull_hypervolume
from theory.exact.pareto import convex_coverage_set
from theory.exact.result import Result
from theory.morl.instances import formula_mdp
from theory.morl.oracles import exact_rounds, hypervolumes

LEFT = 0.2
CASES = ((2, 0.2, 3, 0.9), (2, 0.2, 3, 0.95), (3, 0.5, 4, 0.9))


def instance(m: int) -> tuple[TabularMDP, float]:
    """The problem, and the volume that the hull of its returns dominates above 0."""
    mdp = formula_mdp(m)
    return mdp, hull_hypervolume(convex_coverage_set(mdp), np.zeros(m))


def check(constrained: bool = True) -> Result:
    """The largest share of the gap that is left; 1 if the hypervolume fell or passed that of the hull."""
    worst = []
    for m, step, selected, beta in CASES:
        mdp, hull = instance(m)
        volume = hypervolumes(exact_rounds(mdp, step, selected, beta, 6, constrained))
        # members are rounded to 1e-9
        worst += [float(np.diff(volume).min() < -1e-6), float(volume.max() > hull + 1e-6)]
        worst.append((hull - volume[-1]) / (hull - volume[0]))
    return Result(max(worst), LEFT, max(worst) <= LEFT)


def broken() -> Result:
    """Extension without constraints, which finds the ends of the front again and again."""
    return check(constrained=False)
