"""Every trajectory of a small MDP with its probability: expectations without sampling.

Legend: `K` trajectories, `L` steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.tables import policy_table, tables


class Trajectories(NamedTuple):
    """All trajectories of a fixed length with their probabilities.

    states: int`[K, L + 1]`; actions: int`[K, L]`; probability: float64`[K]`, of sum 1.
    """

    states: np.ndarray
    actions: np.ndarray
    probability: np.ndarray


def trajectories(mdp: TabularMDP, policy: Any, length: int, most: int = 1_000_000) -> Trajectories:
    """All trajectories of `length` steps that `policy` can take from `mu0`; terminal states are stayed in.

    Raises `UsageError` when there are more than `most`.
    """
    t = tables(mdp, length if mdp.horizon is None else None)
    if length > t.horizon:
        raise UsageError(f"length: {length} steps are more than the H = {t.horizon} of the tables")
    pi = policy_table(policy, t)
    states = np.flatnonzero(t.mu0)[:, None]
    actions, probability = np.zeros((len(states), 0), int), t.mu0[states[:, 0]]
    for h in range(length):
        joint = pi[h, states[:, -1], :, None] * t.P[h, states[:, -1]]
        k, a, s = np.nonzero(joint)
        if len(k) > most:
            raise UsageError(f"length: there are more than {most} trajectories of {h + 1} steps")
        states = np.c_[states[k], s]
        actions = np.c_[actions[k], a]
        probability = probability[k] * joint[k, a, s]
    return Trajectories(states, actions, probability)
