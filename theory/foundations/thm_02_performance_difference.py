"""Two policies differ by the old one's advantages, averaged over the states of the new one.

Statement. For a finite MDP with gamma < 1, the normalised occupancy d of the *new* policy pi', and Q, V of
the old policy pi,
    J(pi') - J(pi) = 1 / (1 - gamma) sum_s d(s) sum_a pi'(a | s) [Q(s, a) - V(s)].
(Kakade and Langford 2002, lemma 6.1.)

Check. Both sides on 100 random MDPs with two random policies each; the left by linear solves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.occupancy import discounted_occupancy
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.result import Result, identity
from theory.exact.tables import random_mdps, random_policies


def instance(seed: int, n: int = 100) -> tuple[list[TabularMDP], np.ndarray, np.ndarray]:
    """`n` random MDPs of 5 states and 3 actions, old and new policies `[n, 5, 3]`."""
    old, new = random_policies(seed + 1, 2 * n, 5, 3).reshape(2, n, 5, 3)
    return random_mdps(seed, n, 5, 3), old, new


def of_new_policy(mdp: TabularMDP, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """`[S]`, the distribution d of the right-hand side."""
    return discounted_occupancy(mdp, new).sum(-1)


def check(states: Callable[..., np.ndarray] = of_new_policy) -> Result:
    """Left minus right."""
    errors = []
    for mdp, old, new in zip(*instance(2), strict=True):
        before = evaluate_policy(mdp, old)
        advantage = (new * (before.q - before.v[:, None])).sum(-1)
        right = states(mdp, old, new) @ advantage / (1 - float(mdp.gamma))
        errors.append(evaluate_policy(mdp, new).j - before.j - right)
    return identity(np.array(errors))


def broken() -> Result:
    """The occupancy of the old policy: the surrogate of trust-region methods, right to first order only."""
    return check(lambda mdp, old, new: discounted_occupancy(mdp, old).sum(-1))
