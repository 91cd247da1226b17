"""Dynamic programming over (step, place, memory) finds the best policy with memory.

Statement. Let F(tau) depend on the visited places through a statistic that is updated place by place. Then
the best value of a policy that may remember everything is that of the MDP whose states are (h, place,
statistic) and whose rewards are marginal gains.

Check. Coverage on grids (instances A, B, C, C2), without slip against all action sequences, and with slip 0.1
against the recursion over sets of items in `theory.exact.set_functions`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from jaxrl.submodular.exact import best_value, modular_policy
from theory.exact.result import Result, identity
from theory.exact.set_functions import best_trajectory_value
from theory.submodular.instances import COVERAGE, Problem, coverage, footprints

NAMES = ("A", "B", "C", "C2")


def instance(name: str, slip: float) -> Problem:
    """A coverage problem on a small grid."""
    return coverage(name, slip)


def by_layers(problem: Problem) -> float:
    """The value by the dynamic programme."""
    return best_value(problem.unfold())


def by_trying(name: str) -> float:
    """The largest weight covered by any sequence of actions."""
    side, footprint, weight, start, states = COVERAGE[name]
    covers, ends = footprints(side, side, footprint), np.asarray(instance(name, 0).mdp.P).argmax(-1)
    most = 0.0
    for actions in itertools.product(range(5), repeat=states - 1):
        path = [start]
        for a in actions:
            path.append(ends[path[-1], a])
        most = max(most, float(covers[path].any(0) @ weight))
    return most


def by_sets(name: str) -> float:
    """The recursion over sorted tuples of items, with slip."""
    side, footprint, weight, _, states = COVERAGE[name]
    covers = footprints(side, side, footprint)
    f = lambda items: float(covers[list(items)].any(0) @ weight)  # noqa: E731
    return best_trajectory_value(instance(name, 0.1).mdp, f, states - 1)


def check(solve: Callable[[Problem], float] = by_layers) -> Result:
    """Differences between the values of `solve` and those of brute force."""
    certain = [solve(instance(name, 0.0)) - by_trying(name) for name in NAMES]
    return identity(
        np.array(certain), np.array([solve(instance(name, 0.1)) - by_sets(name) for name in NAMES])
    )


def broken() -> Result:
    """A solution without memory: every visit pays what its place is worth alone."""
    return check(lambda p: modular_policy(p.mdp, p.memory.alone(p.mdp.n_states), p.states)[1])
