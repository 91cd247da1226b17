"""The maximiser of the log barrier is feasible and within (m - 1) / t of the constrained optimum.

Statement. Let pi_t maximise G_l + (1/t) sum_{j != l} log(G_j - d_j) over all policies, and G* be the
optimum of G_l under G_j >= d_j. Then G_j(pi_t) > d_j and 0 <= G*_l - G_l(pi_t) <= (m - 1) / t, because
the returns of policies are a convex set. (Boyd and Vandenberghe 2004, section 11.2.2.)

Check. Formula problem with 3 objectives, one start, every l, t = 1, 5, 20, 100; concave Deep Sea
Treasure, where the gap is 1 / t exactly, on an edge between two policies.
"""

from __future__ import annotations

import functools

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.pareto import convex_coverage_set
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.result import Result
from theory.morl.instances import formula_mdp, treasure
from theory.morl.oracles import barrier_optimum, extend

SHARPNESS = (1.0, 5.0, 20.0, 100.0)
TOLERANCE = 1e-6  # of the certified maximiser


@functools.cache
def instance() -> tuple[TabularMDP, np.ndarray, np.ndarray]:
    """The problem, the vertices of its coverage set, and a return float64[3] to start from."""
    mdp = formula_mdp(3)
    return mdp, convex_coverage_set(mdp), evaluate_policy(mdp, np.array([2, 1, 0, 0, 0])).j


def gaps(weight: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """float64[3, 4] of objective and sharpness: G*_l - G_l of the maximiser, and its smallest slack.

    weight: of the barrier, beside 1 / t.
    """
    mdp, vertices, start = instance()
    d = 0.9 * start
    gap, slack = np.zeros((3, len(SHARPNESS))), np.zeros((3, len(SHARPNESS)))
    for l in range(3):
        best = extend(mdp, l, d).returns[l]
        for i, t in enumerate(SHARPNESS):
            G = barrier_optimum(vertices, start, l, d, t / weight)
            gap[l, i], slack[l, i] = best - G[l], np.delete(G - d, l).min()
    return gap, slack


@functools.cache
def edge() -> tuple[TabularMDP, np.ndarray]:
    """The concave sea, and its two vertices float64[2, 2]: treasures 1 and 124."""
    mdp = treasure("concave", 0.99)
    return mdp, convex_coverage_set(mdp)


def edge_gap(t: float) -> float:
    """The gap on the edge between the two vertices of the concave sea, shifted to positive returns."""
    (mdp, vertices), shift = edge(), np.array([0.0, 50.0])
    vertices = vertices + shift
    start = vertices.mean(0)
    d = 0.9 * start
    best = extend(mdp, 0, d - shift).returns[0]
    # with the treasure measured in units of time: an edge of slope 1
    unit = np.array([np.ptp(vertices[:, 1]) / np.ptp(vertices[:, 0]), 1.0])
    return unit[0] * best - barrier_optimum(vertices * unit, start * unit, 0, d * unit, t)[0]


def check(weight: float = 1.0) -> Result:
    """Largest excess over the bound, negated slack, gap below zero, and distance from 1 / t on the edge."""
    gap, slack = gaps(weight)
    edge = [abs(edge_gap(t / weight) - 1 / t) for t in (20.0, 100.0)]
    worst = [(gap - 2 / np.array(SHARPNESS)).max(), -gap.min(), -slack.min(), *edge]
    return Result(float(max(worst)), TOLERANCE, bool(max(worst) <= TOLERANCE))


def broken() -> Result:
    """A barrier of twice the weight."""
    return check(2.0)
