"""A policy can be learned from data that do not allow to verify it.

Statement. In state 0 the first action reaches the paid state with probability 3/4, the second with 1/4 in one
problem and with 1 in another. n offline rows hold the first action alone. The pessimistic policy, which takes
an action that the data cover, is optimal in the first problem for every n >= 1. A test that calls it optimal
within 1/8 has, in both problems, the same probability to say so, because the data have the same distribution:
where it is right in the first problem with probability 1 - delta, it is wrong in the second with as much.
Rows of the second action end this.
(Wagenmaker and Pacchiano 2023, verifiable and unverifiable learning, for tables.)

Check. All data sets of n = 1 .. 30 rows with their probabilities: the loss of the pessimistic policy, and the
largest P_1(says so) + P_2(does not) over all tests, which is 1 + TV of both distributions of the data.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from theory.exact.result import Result, identity

FIRST, SECOND = 0.75, (0.25, 1.0)


def instance(n: int, covered: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the data in both problems, `[n + 1, covered + 1]`: how many of n rows of the first and
    of `covered` rows of the second action reached the paid state.
    """
    first = binom.pmf(np.arange(n + 1), n, FIRST)
    second = [binom.pmf(np.arange(covered + 1), covered, p) for p in SECOND]
    return np.outer(first, second[0]), np.outer(first, second[1])


def check(covered: int = 0) -> Result:
    """Loss in the first problem, loss in the second minus 1/4, and what a test gains beyond guessing."""
    errors = []
    for n in range(1, 31):
        one, two = instance(n, covered)
        losses = [max(FIRST, p) - FIRST for p in SECOND]  # the first action is the one that data cover
        best_test = np.maximum(one - two, 0).sum()  # says so where the data are likelier in the first problem
        errors += [one.sum() - 1, two.sum() - 1, losses[0], losses[1] - 0.25, best_test]
    return identity(*errors)


def broken() -> Result:
    """Data with ten rows of the second action, too."""
    return check(covered=10)
