"""Exact values of Bernoulli bandits with uniform priors, by dynamic programming over counts, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def one_armed(known: float, pulls: int) -> tuple[float, float]:
    """`(commit, explore)`: largest expected totals of `pulls` that begin with the known arm, or the other.

    known: mean of the known arm. The other arm is Bernoulli with a uniform prior, Beta(1, 1).
    """
    value = np.zeros((pulls + 1, pulls + 1))  # by pulls and successes of the other arm
    commit = explore = 0.0
    for left in range(1, pulls + 1):
        n, s = np.meshgrid(np.arange(pulls + 1 - left), np.arange(pulls + 1 - left), indexing="ij")
        p = (s + 1) / (n + 2)
        other = p * (1 + value[n + 1, s + 1]) + (1 - p) * value[n + 1, s]
        same = known + value[n, s]
        commit, explore = float(same[0, 0]), float(other[0, 0])
        value = np.maximum(same, other)
    return commit, explore


def two_armed(pulls: int) -> float:
    """Largest expected total of `pulls` from two arms with independent uniform priors (the Bayes optimum)."""
    return _two_armed(pulls, lambda gains, *_: np.maximum(*gains))


def index_rule(pulls: int, width: Callable[[int], float]) -> float:
    """Expected total of pulling the larger posterior mean + c standard deviations, ties split evenly.

    width: `(n) -> c` after `n` pulls, of a Beta posterior with uniform prior.
    """

    def choose(gains: tuple[np.ndarray, np.ndarray], arms: tuple[np.ndarray, ...], n: int) -> np.ndarray:
        first, second = (_mean_and_std(pulled, wins) @ (1.0, width(n)) for pulled, wins in arms)
        share = np.where(np.isclose(first, second, rtol=0, atol=1e-12), 0.5, first > second)
        return share * gains[0] + (1 - share) * gains[1]

    return _two_armed(pulls, choose)


def _mean_and_std(pulled: np.ndarray, wins: np.ndarray) -> np.ndarray:
    a, b = wins + 1.0, pulled - wins + 1.0
    return np.stack([a / (a + b), np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))], axis=-1)


def _two_armed(pulls: int, choose: Callable[..., np.ndarray]) -> float:
    """Value of `choose` between the gains of the arms, by pulls and successes of both."""
    size = pulls + 1
    value = np.zeros((size, size, size))
    for n in range(pulls - 1, -1, -1):
        n1, s1, s2 = np.meshgrid(*(np.arange(n + 1),) * 3, indexing="ij")
        n2 = n - n1
        s1, s2 = np.minimum(s1, n1), np.minimum(s2, n2)  # entries outside are never read
        p1, p2 = (s1 + 1) / (n1 + 2), (s2 + 1) / (n2 + 2)
        first = p1 * (1 + value[n1 + 1, s1 + 1, s2]) + (1 - p1) * value[n1 + 1, s1, s2]
        second = p2 * (1 + value[n1, s1, s2 + 1]) + (1 - p2) * value[n1, s1, s2]
        value = choose((first, second), ((n1, s1), (n2, s2)), n)
    return float(value[0, 0, 0])
