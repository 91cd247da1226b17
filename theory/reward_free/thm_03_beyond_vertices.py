"""The worst planning error is at no extreme point of the rewards, and at most twice the total variation.

Statement. The planning error V*_P(r) - V_P^{pi(r)}(r), pi(r) optimal for r under Q, is not convex in r,
because pi(r) changes with r. On the hashed mixture with theta' in place of theta, H = 4, its largest value
over the extreme points of R is 0.1393221044, while a reward inside R has 0.2488748478; no reward exceeds
2 max TV = 0.4113210054.

Check. All 256 extreme points, the reward that alternating linear programmes find, which lies in R, and
2000 random rewards.
"""

from __future__ import annotations

import itertools

import numpy as np

from theory.exact import planning_error
from theory.exact.result import Result
from theory.reward_free.instances import OTHER, hashed

H, TOLERANCE = 4, 1e-8


def instance() -> tuple[np.ndarray, np.ndarray]:
    """The kernels of the hashed mixture under its parameter and under another one."""
    mixture = hashed()
    return mixture.P, mixture.phi @ OTHER


def vertices() -> np.ndarray:
    """All extreme points of R but 0, `[n, H, S, A]`."""
    sets = np.array(list(itertools.product((0.0, 1.0), repeat=6))).reshape(-1, 3, 2)
    return np.einsum("hk,nsa->hnksa", np.eye(H), sets).reshape(-1, H, 3, 2)


def check(all_at_vertices: bool = False) -> Result:
    """Largest error of the numbers, and violation of the inequalities."""
    P, Q = instance()
    rng = np.random.default_rng(0)
    random = rng.dirichlet(np.full(H, 0.3), 2000)[:, :, None, None] * rng.random((2000, H, 3, 2))
    at_vertices = planning_error.plans(P, Q, vertices()).error.max()
    worst = planning_error.lower(P, Q, H)
    inside = at_vertices if all_at_vertices else worst.value
    twice = 2 * planning_error.largest_total_variation(P, Q, H)
    errors = [
        abs(at_vertices - 0.1393221044),
        abs(inside - 0.2488748478),
        abs(twice - 0.4113210054),
        worst.reward.max((1, 2)).sum() - 1,
        -worst.reward.min(),
        planning_error.plans(P, Q, random).error.max() - twice,
        worst.value - twice,
    ]
    measured = float(max(errors))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """The claim that the worst error is one of an extreme point, as it is for differences of values."""
    return check(all_at_vertices=True)
