"""A baseline may read the whole history, as long as it does not read the action.

Statement. E[sum_i grad log pi(a_i | s_i) b(tau_{0:i})] = 0 for every function b of the states visited up to
i; with b = -F(tau_{0:i}) gains to come become the total F(tau), with the same mean.
(Prajapat et al. 2024, theorem 2.)

Check. The problems of `thm_02_policy_gradient`: mean of total minus mean of to_go, and the mean of a random
function of what has been gained so far.
"""

from __future__ import annotations

import jax
import numpy as np

from theory.exact.result import Result, identity
from theory.submodular.estimators import Samples, mean, samples, weights
from theory.submodular.instances import Problem
from theory.submodular.thm_02_policy_gradient import instance as problems_with_logits


def instance(seed: int) -> list[tuple[Problem, np.ndarray]]:
    """The problems and logits of `thm_02_policy_gradient`."""
    return problems_with_logits(seed)


def before(x: Samples) -> np.ndarray:
    """float[K, H], the value F(tau_{0:i}) before action i."""
    return x.prefix - x.gain


def check(known=before) -> Result:
    """Means of weights that depend on `known` alone, and total minus to_go."""
    errors = []
    with jax.enable_x64(True):
        for problem, logits in instance(4):
            x = samples(problem, logits)
            gap = mean(x, weights("total", x)) - mean(x, weights("to_go", x))
            errors += [np.abs(gap).max(), np.abs(mean(x, np.sin(7 * known(x)))).max()]
    return identity(np.array(errors))


def broken() -> Result:
    """A baseline that has seen where the action led."""
    return check(lambda x: x.prefix)
