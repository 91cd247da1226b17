"""Small MDPs for the oracles, and brute force of another kind."""

import jax
import numpy as np

from jaxrl.envs.tabular.mdp import make_mdp
from theory.exact.tables import random_mdps, random_policies

S, A, M, GAMMA = 4, 2, 3, 0.8


def problem(seed, **options):
    """A random MDP of 4 states and 2 actions, and a random policy."""
    return random_mdps(seed, 1, S, A, gamma=GAMMA, **options)[0], random_policies(seed + 100, 1, S, A)[0]


def power_series(mdp, pi, steps=300):
    """(J, visits [S, A]) by pushing the distribution of states forward, term by term."""
    states, j, visits = mdp.mu0, 0.0, np.zeros((S, A))
    for t in range(steps):
        pairs = states[:, None] * pi
        j = j + GAMMA**t * np.einsum("sa,sa...->...", pairs, mdp.R)
        visits += GAMMA**t * pairs
        states = np.einsum("sa,sat->t", pairs, mdp.P)
    return j, visits


def known_mdp():
    """An MDP of 5 states and 3 actions whose optimum is known to 10 digits."""
    s, a, t = np.ogrid[:5, :3, :5]
    P = 1.0 + (3 * s + 5 * a + 7 * t) % 4
    with jax.enable_x64(True):
        R = np.cos(1.0 + np.arange(5)[:, None] + 2 * np.arange(3))
        return make_mdp(P / P.sum(-1, keepdims=True), R, np.arange(1, 6) / 15, 0.9)


def never_ends():
    """Two states that are never left, of which the second is terminal, without discount."""
    return make_mdp([[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [0.0]], gamma=1.0, terminal=(1,))
