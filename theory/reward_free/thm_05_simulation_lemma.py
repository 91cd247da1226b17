"""Values under two parameters differ by what the kernels' difference does to the values of one of them.

Statement. For a policy pi and a reward,
    V^pi_theta' - V^pi_theta = E_theta sum_h ((P_theta' - P_theta) V_{h+1, theta'})(s_h, a_h).
(Kearns and Singh 2002.)

Check. The hashed mixture (-0.0084317006 from state 0) and 20 random mixtures with random policies, every
first state.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result, identity
from theory.reward_free import definitions
from theory.reward_free.instances import OTHER, random_mixture
from theory.reward_free.thm_01_definitions import instance as hashed_problem


def instance() -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Tuples phi, theta, theta', policy, reward."""
    (phi, theta), reward, policy = hashed_problem()
    found = [(phi, theta, OTHER, policy, reward)]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mixture = random_mixture(seed, 4, 2, 3)
        other = np.sqrt(3) * rng.dirichlet(np.ones(3))
        found.append((*mixture, other, rng.integers(2, size=(5, 4)), rng.random((5, 4, 2))))
    return found


def check(values_of_the_true_one: bool = False) -> Result:
    """Both sides at every first state; `values_of_the_true_one` puts V_{h+1, theta} into the sum."""
    errors, differences = [], []
    for phi, theta, other, policy, reward in instance():
        H, S = policy.shape
        V, W = (definitions.values(phi, t, policy, reward) for t in (theta, other))
        inside = V if values_of_the_true_one else W
        total = np.zeros(S)
        for h in reversed(range(H)):
            at = np.arange(S), policy[h]
            step = definitions.integrated(phi, inside[h + 1])[at] @ (other - theta)
            total = step + definitions.integrated(phi, total)[at] @ theta
        errors.append(W[0] - V[0] - total)
        differences.append(W[0, 0] - V[0, 0])
    return identity(*errors, np.round(differences[0], 10) + 0.0084317006)


def broken() -> Result:
    """The values of the parameter that the expectation is taken under, inside the sum."""
    return check(values_of_the_true_one=True)
