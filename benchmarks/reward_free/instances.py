"""Tables and transitions for both libraries; numpy alone, for the peer's environment has no jax."""

from __future__ import annotations

import numpy as np

ACTIONS = 4


def tables(S: int) -> np.ndarray:
    """float64[S, 4, S], rows drawn from a Dirichlet distribution of concentration 0.1; start 0."""
    return np.random.default_rng(0).dirichlet(np.full(S, 0.1), (S, ACTIONS))


def transitions(S: int, horizon: int, episodes: int) -> np.ndarray:
    """int64[episodes, H, 3] of (s, a, x) under the uniform policy, so that some pairs are never visited."""
    rng, P = np.random.default_rng(1), tables(S)
    found = np.zeros((episodes, horizon, 3), np.int64)
    for episode in found:
        s = 0
        for step in episode:
            a = rng.integers(ACTIONS)
            x = rng.choice(S, p=P[s, a])
            step[:] = s, a, x
            s = x
    return found
