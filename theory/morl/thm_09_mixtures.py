"""Mixtures of a few deterministic policies reach what any stochastic policy reaches.

Statement. The returns of stationary stochastic policies are the convex hull of those of deterministic
ones. So the best G_l under lower bounds on the other returns is the same over stochastic policies and
over mixtures that draw one policy of the convex coverage set per episode, and at most as many of them as
there are objectives.
(Puterman 1994, theorem 6.9; Caratheodory.)

Check. Formula problems with 2 and 3 objectives: the programme over mixtures against the one over visits,
for bounds between two vertices, every l.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.morl.mixtures import best_mixture
from theory.exact.pareto import convex_coverage_set
from theory.exact.result import Result
from theory.morl.instances import formula_mdp
from theory.morl.oracles import extend

TOLERANCE = 1e-8  # of the linear programmes

Best = Callable[[np.ndarray, int, np.ndarray], float]


def instance(m: int) -> tuple[TabularMDP, np.ndarray]:
    """A problem with `m` objectives, and the vertices float64[K, m] of its convex coverage set."""
    mdp = formula_mdp(m)
    return mdp, convex_coverage_set(mdp)


def mixed(vertices: np.ndarray, l: int, bounds: np.ndarray) -> float:
    """The largest return of objective l by a mixture, infinity if it draws from more than m policies."""
    mixture = best_mixture(vertices, l, np.where(np.arange(len(bounds)) == l, -np.inf, bounds))
    return float(mixture.returns[l]) if len(mixture.policies) <= len(bounds) else np.inf


def check(best: Best = mixed) -> Result:
    """Largest difference of the two programmes."""
    errors = []
    for m in (2, 3):
        mdp, vertices = instance(m)
        for first, second in zip(vertices[:-1:2], vertices[1::2], strict=False):
            bounds = 0.95 * (0.3 * first + 0.7 * second)
            errors += [abs(best(vertices, l, bounds) - extend(mdp, l, bounds).returns[l]) for l in range(m)]
    return Result(max(errors), TOLERANCE, max(errors) <= TOLERANCE)


def broken() -> Result:
    """The best single vertex that meets the bounds, 0 if none does."""

    def single(vertices: np.ndarray, l: int, bounds: np.ndarray) -> float:
        meets = np.all(np.delete(vertices >= bounds, l, axis=1), axis=1)
        return float(vertices[meets, l].max(initial=0.0))

    return check(single)
