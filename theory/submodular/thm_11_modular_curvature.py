"""The policy that is best for single visits reaches 1 - c of the best with memory, c the total curvature.

Statement. (1 - c) sum_s F({s}) <= F(S) <= sum_s F({s}); hence the optimal policy of the MDP with rewards
F({s}) has J >= (1 - c) OPT, the optimum over policies with memory. (Prajapat et al. 2024, proposition 3, in
the part that can be checked exactly.)

Check. 200 random problems of 3 places, 2 actions, 4 states: coverage plus a positive part by time and place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.submodular.exact import best_value, modular_policy, policy_value
from theory.exact.result import Result, inequality
from theory.submodular.instances import Problem, random_problem, total_curvature


def instance(seed: int) -> Problem:
    """A random problem of curvature below 1."""
    return random_problem(seed)


def modular_value(problem: Problem) -> float:
    """The value J of the modular optimum."""
    mdp = problem.mdp
    reward = problem.memory.alone(mdp.n_states) + problem.bonus
    actions, _ = modular_policy(mdp, reward, problem.states)
    return float(policy_value(np.eye(mdp.n_actions)[actions], problem.unfold()))


def check(factor: Callable[[float], float] = lambda c: 1 - c) -> Result:
    """factor(c) OPT against J of the modular optimum."""
    problems = [instance(seed) for seed in range(200)]
    promised = [factor(total_curvature(p)) * best_value(p.unfold()) for p in problems]
    return inequality(promised, [modular_value(p) for p in problems])


def broken() -> Result:
    """The claim that the modular optimum is optimal."""
    return check(lambda c: 1.0)
