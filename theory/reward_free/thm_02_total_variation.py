"""The largest difference of values under two kernels is the total variation of state distributions.

Statement. For kernels P, Q and R = {r >= 0 : sum_h max r_h <= 1},
    sup over pi and r in R of |V^pi_P(r) - V^pi_Q(r)| = max over h and pi of TV(d^pi_{P,h}, d^pi_{Q,h}):
the difference is linear in r, and the extreme points of R pay 1 at one stage in a set of pairs.

Check. 20 random pairs with two states, two actions, H = 3, and the hashed mixture with H = 4. Left: all
deterministic policies and all sets of states at every stage, values by backward induction. Right: state
distributions forward. Random rewards in R and stochastic policies never exceed it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from theory.exact import planning_error
from theory.exact.result import IDENTITY, Result
from theory.reward_free import definitions
from theory.reward_free.instances import OTHER, hashed, random_pair

Right = Callable[[np.ndarray, np.ndarray, int], float]


def instance() -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Triples of two kernels and a horizon."""
    mixture = hashed()
    return [(*random_pair(seed), 3) for seed in range(20)] + [(mixture.P, mixture.phi @ OTHER, 4)]


def value(P: np.ndarray, policy: np.ndarray, reward: np.ndarray) -> float:
    """Value at state 0 of a policy `[H, S, A]`, by backward induction."""
    V = np.zeros(len(P))
    for h in reversed(range(len(reward))):
        V = (policy[h] * (reward[h] + P @ V)).sum(-1)
    return float(V[0])


def left(P: np.ndarray, Q: np.ndarray, H: int) -> float:
    """The largest difference over deterministic policies and extreme points of R."""
    S, A = P.shape[:2]
    best = 0.0
    rules = np.array(list(itertools.product(range(A), repeat=S)))
    steps = [model[np.arange(S), rules] for model in (P, Q)]  # [rules, S, S]
    for f in definitions.sets(S):
        V = [f[None], f[None]]
        for _ in range(H - 1):
            V = [np.einsum("kst,nt->nks", s, v).reshape(-1, S) for s, v in zip(steps, V, strict=True)]
            best = max(best, float(np.abs(V[0] - V[1])[:, 0].max()))
    return best


def check(right: Right = planning_error.largest_total_variation) -> Result:
    """Largest error of the identity, and by how much random rewards and policies exceed its right side."""
    rng, errors = np.random.default_rng(0), []
    for P, Q, H in instance():
        most = right(P, Q, H)
        errors.append(abs(left(P, Q, H) - most))
        for _ in range(20):
            reward = rng.dirichlet(np.full(H, 0.3))[:, None, None] * rng.random((H, *P.shape[:2]))
            policy = rng.dirichlet(np.ones(P.shape[1]), (H, len(P)))
            errors.append(max(0.0, abs(value(P, policy, reward) - value(Q, policy, reward)) - most))
    measured = float(max(errors))
    return Result(measured, IDENTITY, measured <= IDENTITY)


def broken() -> Result:
    """The total variation one stage too early."""
    return check(lambda P, Q, H: planning_error.largest_total_variation(P, Q, H - 1))
