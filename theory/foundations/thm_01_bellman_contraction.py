"""The Bellman operators contract with factor gamma.

Statement. For a finite MDP with gamma < 1 and all v, w in R^S,
    |T v - T w|_max <= gamma |v - w|_max,
for the optimality operator (T v)(s) = max_a [R(s, a) + gamma sum_t P(t | s, a) v(t)] and for that of any
policy; equality where v - w is constant. (Puterman 1994, proposition 6.2.4.)

Check. 100 random MDPs x random pairs (v, w) and pairs that differ by a constant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from theory.exact.result import Result, inequality
from theory.exact.tables import Tables, random_mdps, random_policies, tables

Operator = Callable[[Tables, np.ndarray, np.ndarray], np.ndarray]


def instance(seed: int, n: int = 100) -> tuple[list[Tables], np.ndarray]:
    """`n` random MDPs of 5 states, 3 actions, gamma 0.9, and a policy `[n, 5, 3]` for each."""
    return [tables(mdp) for mdp in random_mdps(seed, n, 5, 3)], random_policies(seed + 1, n, 5, 3)


def optimality(t: Tables, pi: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`[S]`, the optimality operator applied to v."""
    return (t.R + t.gamma * t.P @ v).max(-1)


def evaluation(t: Tables, pi: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`[S]`, the operator of the policy `pi`."""
    return (pi * (t.R + t.gamma * t.P @ v)).sum(-1)


def check(operators: tuple[Operator, ...] = (optimality, evaluation)) -> Result:
    """|T v - T w| against gamma |v - w|."""
    problems, policies = instance(1)
    rng = np.random.default_rng(1)
    left, right = [], []
    for t, pi in zip(problems, policies, strict=True):
        v, w = rng.normal(size=(2, 5))
        for operator in operators:
            for other in (w, v + 1.0):
                left.append(np.abs(operator(t, pi, v) - operator(t, pi, other)).max())
                right.append(t.gamma * np.abs(v - other).max())
    return inequality(left, right)


def broken() -> Result:
    """The discount on the reward instead of the successor's value."""
    return check((lambda t, pi, v: (t.gamma * t.R + t.P @ v).max(-1),))
