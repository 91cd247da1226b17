"""The best Markov policy under a set function by branch and bound, where its tables are too many to list.

A branch fixes the actions of some pairs (step, place). Its bound is the best policy with full memory that
keeps to them, a dynamic programme on the nodes of `exact.unfold`. Where that policy acts alike at all nodes
of a pair that it reaches it is Markov, and its value is attained; otherwise the pair where it disagrees most
is fixed next.

Legend: `V` places, `A` actions, `H` actions of an episode.
"""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.submodular.exact import Unfolded

_TIE = 1e-12  # values and probabilities that differ by less are the same


def best_markov_policy(problem: Unfolded, n_places: int, most: int = 20_000) -> tuple[float, np.ndarray]:
    """`(E[F], int[H, V])` of a best Markov policy; -1 at pairs that it never reaches.

    A deterministic one is among the best, because E[F] is linear in the policy at each pair. Raises
    `UsageError` after `most` branches.
    """
    free = np.full((len(problem.layers), n_places), -1)
    order = count()  # arrays have no order, so equal bounds are told apart by age
    value, used, pair = _relaxed(problem, free)
    heap = [(-value, next(order), free, used, pair)]
    while heap:
        bound, age, fixed, used, pair = heapq.heappop(heap)
        if pair is None:
            return -bound, used
        if age >= most:
            raise UsageError(f"best_markov_policy.most: more than {most} branches; take a smaller problem")
        for action in range(problem.layers[0].probability.shape[1]):
            branch = fixed.copy()
            branch[pair] = action
            value, used, split = _relaxed(problem, branch)
            heapq.heappush(heap, (-value, next(order), branch, used, split))
    raise AssertionError("a branch with every pair fixed is Markov")


def _relaxed(problem: Unfolded, fixed: np.ndarray) -> tuple[float, np.ndarray, tuple[int, int] | None]:
    """`(value, actions, pair)` of the best policy with memory that keeps to `fixed` int[H, V] (-1 is free).

    actions: int[H, V], its likeliest ones; pair: where it disagrees with them most, None if nowhere.
    """
    value, choices = np.zeros(problem.layers[-1].child.max() + 1), []
    for h, layer in reversed(list(enumerate(problem.layers))):
        far = np.einsum("nam,nm->na", layer.probability, layer.gain + value[layer.child])
        own = fixed[h, layer.place, None]
        far = np.where((own < 0) | (own == np.arange(far.shape[1])), far, -np.inf)
        value = far.max(1)
        choices.append(np.argmax(far >= value[:, None] - _TIE, axis=1))
    used, pair, worst = np.full_like(fixed, -1), None, _TIE
    here = problem.start
    for h, (layer, action) in enumerate(zip(problem.layers, choices[::-1], strict=True)):
        weight = np.zeros((fixed.shape[1], layer.probability.shape[1]))
        np.add.at(weight, (layer.place, action), here)
        used[h] = np.where(weight.sum(1) > 0, weight.argmax(1), -1)
        split = weight.sum(1) - weight.max(1)
        if split.max() > worst:
            worst, pair = split.max(), (h, int(split.argmax()))
        flow = here[:, None] * layer.probability[np.arange(len(action)), action]
        here = np.bincount(layer.child.ravel(), flow.ravel(), minlength=layer.child.max() + 1)
    return float(problem.start @ (problem.first + value)), used, pair
