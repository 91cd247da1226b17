"""Marginal gains to come are the weights of the policy gradient.

Statement. For F on trajectories, G_i = F(tau) - F(tau_{0:i}) and any policy that is differentiable in theta,
    grad J = E[sum_i grad log pi(a_i | s_i) G_i].
(Prajapat et al. 2024, theorem 2.)

Check. Tabular softmax with random logits on 2 x 2 coverage and on 3 random problems with a bonus: all
trajectories with their weights against automatic differentiation of the exact value.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.submodular.exact import policy_value
from theory.exact.result import Result, identity
from theory.submodular.estimators import mean, samples, weights
from theory.submodular.instances import Problem, coverage, random_problem


def instance(seed: int) -> list[tuple[Problem, np.ndarray]]:
    """Problems, each with logits `[H, V, A]`."""
    rng = np.random.default_rng(seed)
    problems = [coverage("E"), *(random_problem(seed + i) for i in range(3))]
    return [(p, rng.normal(size=(p.states - 1, p.mdp.n_states, p.mdp.n_actions))) for p in problems]


def check(credit: str = "to_go") -> Result:
    """Mean of the estimator minus the gradient."""
    errors = []
    with jax.enable_x64(True):
        for problem, logits in instance(2):
            unfolded, x = problem.unfold(), samples(problem, logits)
            exact = jax.jit(jax.grad(lambda t, u=unfolded: policy_value(jax.nn.softmax(t), u)))(logits)
            errors.append(np.abs(mean(x, weights(credit, x)) - exact).max())
    return identity(np.array(errors))


def broken() -> Result:
    """Each action credited with its own gain alone."""
    return check("marginal")
