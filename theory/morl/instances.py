"""Small problems with several objectives: tables by a formula, Deep Sea Treasure, a choice with a lottery.

Legend: `S` states, `A` actions, `m` objectives.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.tabular.mdp import TabularMDP, make_mdp


def formula_mdp(m: int, S: int = 5, A: int = 3) -> TabularMDP:
    """Tables in float64 without a seed, discount 0.9, uniform first state.

    P(t | s, a) is proportional to 1 + (3 s + 5 a + 7 t) mod 6, and objective k pays
    ((2 s + 3 a + 5 k + s a (k + 1)) mod 7) / 6.
    """
    s, a = np.arange(S)[:, None, None], np.arange(A)[:, None]
    P = 1.0 + (3 * s + 5 * a + 7 * np.arange(S)) % 6
    k = np.arange(m)
    R = ((2 * s + 3 * a + 5 * k + s * a * (k + 1)) % 7) / 6
    with jax.enable_x64(True):
        return make_mdp(P / P.sum(-1, keepdims=True), R, np.full(S, 1 / S), 0.9, reward_dim=m)


def treasure(kind: str, gamma: float) -> TabularMDP:
    """Tables of Deep Sea Treasure, "convex" or "concave", in float64: treasure and minus the time."""
    env = DeepSeaTreasure(kind)
    with jax.enable_x64(True):
        return env.to_tabular(env.default_params()).replace(gamma=np.float64(gamma))


def lottery() -> TabularMDP:
    """Three states and an end: a sure pair of rewards, or one of two that differ.

    From the first state action 0 ends with (1.5, 1.5), and action 1 leads to the two others alike, of which
    one ends with (4, 0) and the other with (0, 4), whatever is done there.
    """
    P, R = np.zeros((4, 2, 4)), np.zeros((4, 2, 2))
    P[0, 0, 3] = 1.0
    P[0, 1, 1:3] = 0.5
    P[1:, :, 3] = 1.0
    R[0, 0], R[1], R[2] = 1.5, [4.0, 0.0], [0.0, 4.0]
    with jax.enable_x64(True):
        return make_mdp(P, R, [1.0, 0, 0, 0], 1.0, terminal=(3,), reward_dim=2)
