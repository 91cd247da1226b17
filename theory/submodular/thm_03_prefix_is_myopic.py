"""Weighting by the value so far is myopic: its mean is that of weighting by the next gain alone.

Statement. For every policy
    E[sum_h grad log pi(a_h | .) F(tau_{0:h+1})] = E[sum_h grad log pi(a_h | .) F(s_{h+1} | tau_{0:h})],
because F(tau_{0:h}) is known before a_h is drawn. So the released code of SubPO, which weights by the value
so far, ascends a gradient with discount 0 and not that of J.

Check. The problems of `thm_02_policy_gradient`, all trajectories; also `myopic_value`, whose gradient both
are.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.submodular.exact import myopic_value
from theory.exact.result import Result, identity
from theory.submodular.estimators import mean, samples, weights
from theory.submodular.instances import Problem
from theory.submodular.thm_02_policy_gradient import instance as problems_with_logits


def instance(seed: int) -> list[tuple[Problem, np.ndarray]]:
    """The problems and logits of `thm_02_policy_gradient`."""
    return problems_with_logits(seed)


def check(credit: str = "prefix") -> Result:
    """Mean with `credit` minus the mean of marginal gains, and minus the gradient of `myopic_value`."""
    errors = []
    with jax.enable_x64(True):
        for problem, logits in instance(3):
            unfolded, x = problem.unfold(), samples(problem, logits)
            exact = jax.jit(jax.grad(lambda t, u=unfolded: myopic_value(jax.nn.softmax(t), u)))(logits)
            found = mean(x, weights(credit, x))
            errors += [np.abs(found - mean(x, x.gain)).max(), np.abs(found - exact).max()]
    return identity(np.array(errors))


def broken() -> Result:
    """The gain to go, which is not myopic."""
    return check("to_go")
