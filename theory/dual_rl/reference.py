"""The reference problem of 5 states and 3 actions, its behaviour, expert and suboptimal policies.

    P(t | s, a) ~ 1 + ((3 s + 5 a + 7 t) mod 4),   r(s, a) = cos(1 + s + 2 a),   d0(s) = (s + 1) / 15,
    mu(a | s) ~ 1 + ((s + 2 a) mod 3),   gamma = 0.9

Small integers make it easy to build in any language; nothing in it is symmetric.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP, make_mdp
from theory.exact.occupancy import discounted_occupancy
from theory.exact.optimal_control import solve
from theory.exact.tables import random_mdps, random_policies, tables


class Problem(NamedTuple):
    """What a method of dual RL is given. mdp; d_o: `[S, A]` offline data; d_e: expert; d_s: suboptimal."""

    mdp: TabularMDP
    d_o: np.ndarray
    d_e: np.ndarray
    d_s: np.ndarray


def reference_mdp() -> TabularMDP:
    """The reference MDP in float64."""
    s, a, t = np.ogrid[:5, :3, :5]
    P = 1.0 + (3 * s + 5 * a + 7 * t) % 4
    s, a = np.ogrid[:5, :3]
    with jax.enable_x64(True):
        mdp = make_mdp(P / P.sum(-1, keepdims=True), np.cos(1 + s + 2 * a), np.arange(1, 6) / 15, 0.9)
        return jax.tree.map(np.asarray, mdp)


def behaviour() -> np.ndarray:
    """float64`[5, 3]`, mu of the reference MDP."""
    s, a = np.ogrid[:5, :3]
    mu = 1.0 + (s + 2 * a) % 3
    return mu / mu.sum(-1, keepdims=True)


def without_expert(mu: np.ndarray, expert: np.ndarray, states: int) -> np.ndarray:
    """float64`[S, A]`, `mu` that never does what `expert` (int`[S]`) does in the first `states` states."""
    mu = np.array(mu)
    mu[np.arange(states), expert[:states]] = 0
    return mu / mu.sum(-1, keepdims=True)


def reference_problem() -> Problem:
    """The reference MDP with data of mu, and the optimal policy as expert.

    The suboptimal data lack the expert's action in states 0, 1 and 2.
    """
    return problem(reference_mdp(), behaviour(), uncovered=3)


def problem(mdp: TabularMDP, mu: np.ndarray, uncovered: int) -> Problem:
    """Data of `mu`, the optimal policy as expert, suboptimal data without it in `uncovered` states."""
    expert = solve(mdp).policy
    weak = without_expert(mu, expert, uncovered)
    return Problem(
        mdp, discounted_occupancy(mdp, mu), discounted_occupancy(mdp, expert), discounted_occupancy(mdp, weak)
    )


def random_problems(seed: int, n: int, S: int = 5, A: int = 3, uncovered: int = 0) -> list[Problem]:
    """`n` problems of random MDPs with gamma 0.9 and random behaviour."""
    mdps, mus = random_mdps(seed, n, S, A), random_policies(seed + 500, n, S, A)
    return [problem(mdp, mu, uncovered) for mdp, mu in zip(mdps, mus, strict=True)]


def demonstration(mdp: TabularMDP, start: int, length: int) -> np.ndarray:
    """float64`[S, A]`, the distribution of `length` expert pairs along likeliest successors.

    It is no occupancy of any policy.
    """
    t, expert = tables(mdp), solve(mdp).policy
    pairs, s = np.zeros(t.R.shape), start
    for _ in range(length):
        pairs[s, expert[s]] += 1 / length
        s = int(t.P[s, expert[s]].argmax())
    return pairs
