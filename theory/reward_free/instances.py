"""Small problems of reward-free exploration: hashed, random and signed mixtures, the hard instance, locks.

Everything is float64 numpy, without the environments of the library, whose arrays tests compare with these.

Legend: `S` states, `A` actions, `d` features. phi: `[S, A, S, d]`, theta: `[d]`, P = phi theta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Mixture(NamedTuple):
    """phi float64`[S, A, S, d]` and theta float64`[d]`; the start is state 0."""

    phi: np.ndarray
    theta: np.ndarray

    @property
    def P(self) -> np.ndarray:
        """The kernel, float64`[S, A, S]`."""
        return self.phi @ self.theta


GRAM = np.array([[102.0, 100.0], [100.0, 104.0]])  # of `hashed`: 2 I + 100 1 1' + diag(0, 2)
OTHER = np.sqrt(2) * np.array([0.6, 0.4])  # another parameter of `hashed` that gives kernels


def hashed() -> Mixture:
    """Three states, two actions, two features, by arithmetic: P_i(x | s, a) is proportional to
    1 + ((7 i + 3 s + 5 a + 11 x)^2 mod 13)^2, phi_i = P_i / sqrt 2, theta = sqrt 2 (1, 2) / 3.
    """
    i, s, a, x = np.ix_(range(2), range(3), range(2), range(3))
    weight = 1.0 + ((7 * i + 3 * s + 5 * a + 11 * x) ** 2 % 13) ** 2
    kernels = weight / weight.sum(-1, keepdims=True)
    return Mixture(np.moveaxis(kernels, 0, -1) / np.sqrt(2), np.sqrt(2) * np.array([1.0, 2.0]) / 3)


def random_mixture(seed: int, S: int, A: int, d: int) -> Mixture:
    """Base kernels and weights uniform on their simplices, scaled as `hashed`."""
    rng = np.random.default_rng(seed)
    kernels = rng.dirichlet(np.ones(S), (S, A, d))
    return Mixture(np.moveaxis(kernels, -1, -2) / np.sqrt(d), np.sqrt(d) * rng.dirichlet(np.ones(d)))


def random_pair(seed: int, S: int = 2, A: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Two independent kernels float64`[S, A, S]`, rows uniform on the simplex."""
    P, Q = np.random.default_rng(seed).dirichlet(np.ones(S), (2, S, A))
    return P, Q


def hard(d: int, K: int, signs: np.ndarray | None = None, p: float = 1 / 6) -> Mixture:
    """The instance of the lower bound: from state 0, action a in {-1, 1}^(d - 1) (bit j of its index is 1 for
    +1) leads to state 2 with probability p + <mu, a>, else to state 1; both absorb.

    mu = Delta signs float`[d - 1]` (default all 1) with Delta = sqrt(p / K) / (4 sqrt 2).
    """
    n = d - 1
    delta = np.sqrt(p / K) / (4 * np.sqrt(2))
    mu = delta * (np.ones(n) if signs is None else np.asarray(signs, np.float64))
    actions = 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1
    large, small = np.sqrt(1 / (1 + delta * n)), np.sqrt(delta / (1 + delta * n))
    phi = np.zeros((3, 2**n, 3, d))
    phi[0, :, 1, 0], phi[0, :, 1, 1:] = large * (1 - p), -small * actions
    phi[0, :, 2, 0], phi[0, :, 2, 1:] = large * p, small * actions
    phi[1, :, 1, 0] = phi[2, :, 2, 0] = large
    return Mixture(phi, np.r_[1 / large, mu / small])


def signed() -> Mixture:
    """Five states x1, x2, x3, y0, y1 and one action, with features of both signs: x1 leads to x2 or x3, each
    to y0 or y1, which absorb; all with probability 1/2.
    """
    c = 0.5
    phi = np.zeros((5, 1, 5, 4))
    for s, (first, second), i in ((0, (1, 2), 1), (1, (3, 4), 2), (2, (3, 4), 3)):
        phi[s, 0, [first, second], 0] = c / 2
        phi[s, 0, first, i], phi[s, 0, second, i] = -c / 2, c / 2
    phi[3, 0, 3, 0] = phi[4, 0, 4, 0] = c
    return Mixture(phi, np.array([2.0, 0, 0, 0]))


def lock(n: int, A: int, good: float, bad: float) -> np.ndarray:
    """float64`[n + 2, A, n + 2]`: action (2 s + 1) mod A advances from s < n with probability `good`, any
    other with `bad`, else the sink n + 1; it and the goal n absorb.
    """
    P = np.zeros((n + 2, A, n + 2))
    P[n, :, n] = P[n + 1, :, n + 1] = 1.0
    for s in range(n):
        P[s, :, s + 1] = np.where(np.arange(A) == (2 * s + 1) % A, good, bad)
        P[s, :, n + 1] = 1 - P[s, :, s + 1]
    return P
