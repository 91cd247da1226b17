"""Continuous greedy reaches 1 - 1/e of the best policy of an eps-bandit problem.

Statement. For monotone DR-submodular functions on a down-closed polytope, moving by 1/K towards the best
vertex of the gradient, K times from 0, gives at least (1 - 1/e) OPT as K grows. Choosing step by step gives
1/2. (Bian et al. 2017; Prajapat et al. 2024, theorem 3.)

Check. K = 1000 on the three-place problem with eps 0, 0.1, 0.3, 2/3, on 5 random ones, and on the problem
where myopic choice gives 1 of 1.99.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from jaxrl.core.types import Array
from theory.exact.result import Result, inequality
from theory.submodular.bandit import (
    Bandit,
    best,
    continuous_greedy,
    half,
    myopic,
    random_bandit,
    three_places,
    values,
)


def instance() -> list[Bandit]:
    """The problems of the check."""
    named = [three_places(eps) for eps in (0.0, 0.1, 0.3, 2 / 3)]
    return [half(), *named, *(random_bandit(seed, 0.1) for seed in range(5))]


def check(solve: Callable[[Bandit], Array] = lambda b: continuous_greedy(b, 1000)) -> Result:
    """(1 - 1/e) of the best against what `solve` reaches."""
    with jax.enable_x64(True):
        reached = [float(values(solve(b)[None], b)[0]) for b in instance()]
        return inequality([(1 - np.exp(-1)) * best(b) for b in instance()], reached)


def broken() -> Result:
    """The myopic choice, step by step."""
    return check(myopic)
