"""The value is linear in the policy at each step and place, so some deterministic Markov policy is best.

Statement. E[F] of a Markov policy pi is an affine function of the row pi(. | h, v) while all others are
fixed. Hence it has a maximum at a deterministic table. (Prajapat et al. 2024, proposition 2.)

Check. 20 random problems: the value at a random point between two policies that differ in one row, minus the
value interpolated.
"""

from __future__ import annotations

import numpy as np

from jaxrl.submodular.exact import policy_value
from theory.exact.result import Result, identity
from theory.submodular.instances import Problem, random_problem


def instance(seed: int) -> tuple[Problem, np.ndarray, np.ndarray]:
    """A problem and two policies `[H, V, A]`."""
    rng = np.random.default_rng(seed)
    pi = rng.dirichlet(np.ones(2), (2, 3, 3))
    return random_problem(seed), pi[0], pi[1]


def check(rows: int = 1) -> Result:
    """Errors of interpolation when `rows` rows change together."""
    errors = []
    for seed in range(20):
        problem, one, other = instance(seed)
        unfolded, rng = problem.unfold(), np.random.default_rng(seed)
        two, t = one.copy(), rng.random()
        chosen = rng.permutation(9)[:rows]
        two.reshape(9, 2)[chosen] = other.reshape(9, 2)[chosen]
        between = policy_value((1 - t) * one + t * two, unfolded)
        errors.append(between - ((1 - t) * policy_value(one, unfolded) + t * policy_value(two, unfolded)))
    return identity(np.array(errors))


def broken() -> Result:
    """An interpolation that changes all rows at once."""
    return check(9)
