"""Greedy selection reaches 1 - 1/e of the best set of a monotone submodular function.

Statement. If F is monotone and submodular with F(empty set) = 0, greedy selection of k items has
    F(greedy) >= (1 - (1 - 1/k)^k) max_{|S| <= k} F(S) >= (1 - 1/e) max_{|S| <= k} F(S).
(Nemhauser, Wolsey, Fisher 1978, theorem 4.2.)

Check. Weighted coverage by 7 random sets, every item twice, k = 3, 100 instances, against all subsets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from theory.exact.result import Result, inequality
from theory.exact.set_functions import HostSetFunction, best, greedy

N_SETS, N_ELEMENTS, K = 7, 12, 3


def instance(seed: int) -> HostSetFunction:
    """Coverage by `2 * N_SETS` items, of which items i and i + N_SETS cover the same."""
    rng = np.random.default_rng(seed)
    covers, weight = rng.random((N_SETS, N_ELEMENTS)) < 0.35, rng.random(N_ELEMENTS)
    return lambda items: float(covers[[i % N_SETS for i in items]].any(0) @ weight)


def check(
    choose: Callable[[HostSetFunction, Sequence[int], int], tuple[tuple[int, ...], float]] = greedy,
) -> Result:
    """(1 - (1 - 1/k)^k) of the best against what `choose` reaches."""
    items, bound = range(2 * N_SETS), 1 - (1 - 1 / K) ** K
    functions = [instance(seed) for seed in range(100)]
    return inequality(
        [bound * best(f, items, K)[1] for f in functions], [choose(f, items, K)[1] for f in functions]
    )


def broken() -> Result:
    """The k items of the largest values of their own: twins are taken together."""

    def largest(f, items, k):
        chosen = tuple(sorted(sorted(items, key=lambda i: -f((i,)))[:k]))
        return chosen, f(chosen)

    return check(largest)
