"""A problem with a modular function is an ordinary MDP.

Statement. If F(tau) = sum_h m(h, s_h), gains to come are rewards to go, so that the estimator of SubPO is
REINFORCE with reward to go; and policies with memory are no better than Markov ones, whose optimum is that of
value iteration.

Check. 20 random modular problems: the weights of all trajectories, and the optimum with memory against
backward induction on (h, v).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.submodular.exact import best_value, covered, modular_policy
from theory.exact.result import Result, identity
from theory.submodular.estimators import samples, weights
from theory.submodular.instances import Problem, random_problem


def instance(seed: int) -> Problem:
    """A random problem whose F is paid by time and place alone."""
    return random_problem(seed)._replace(memory=covered(np.zeros((3, 1), bool), np.zeros(1)))


def check(make: Callable[[int], Problem] = instance) -> Result:
    """Gains to come minus rewards to go, and optimum with memory minus that of backward induction."""
    errors = []
    for seed in range(20):
        problem = make(seed)
        x = samples(problem, np.random.default_rng(seed).normal(size=(3, 3, 2)))
        errors.append(np.abs(weights("to_go", x) - weights("modular", x)).max())
        reward = problem.memory.alone(3) + problem.bonus
        errors.append(best_value(problem.unfold()) - modular_policy(problem.mdp, reward, problem.states)[1])
    return identity(np.array(errors))


def broken() -> Result:
    """Problems with coverage in F."""
    return check(random_problem)
