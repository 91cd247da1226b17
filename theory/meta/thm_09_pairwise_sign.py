"""Pairwise ranks point along the gradient, with a step whose length does not depend on the fitness.

Statement. On a linear F with gradient g, E[sign(F+ - F-) eps] = sqrt(2 / pi) g / |g|. The released
estimator
(1 / (P sigma)) sum_i F_i eps_i over P members, F_i = 1 for the winner of a pair and 0 for the loser, is
sign(F+ - F-) eps / (2 sigma) on average over pairs: a step of length sqrt(2 / pi) / (2 sigma), 3.98942 for
sigma = 0.1, whatever |g|. An increasing function of the fitness leaves it as it is. (Jackson et al. 2024,
equation 12.)

Check. d = 5, g and 1000 g: each coordinate by quadrature in that coordinate, the others integrated out; a
batch of 64 pairs by the sum over members and by the sum over pairs, with the fitness and with its
exponential.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import quad
from scipy.special import erf
from scipy.stats import norm

from theory.exact.result import Result, identity

SIGMA = 0.1


def instance() -> tuple[np.ndarray, np.ndarray]:
    """A gradient `[5]` and noise of 64 pairs `[64, 5]`."""
    return np.array([0.7, 0.9, -2.0, -0.2, 2.0]), np.random.default_rng(0).normal(size=(64, 5))


def expected_sign(g: np.ndarray) -> np.ndarray:
    """E[sign(g . eps) eps] `[d]`: given one coordinate, the sign has mean erf(g_i eps_i / (sqrt 2 rest))."""
    rest = np.sqrt((g**2).sum() - g**2)
    return np.array(
        [
            quad(lambda x, a=a, r=r: x * erf(a * x / (np.sqrt(2) * r)) * norm.pdf(x), -12, 12, epsabs=1e-13)[
                0
            ]
            for a, r in zip(g, rest, strict=True)
        ]
    )


def by_members(fitness: np.ndarray, eps: np.ndarray, loser: float = 0.0) -> np.ndarray:
    """The released estimator `[d]` from fitness `[B, 2]` of pairs with noise +eps, -eps.

    loser: the weight of the loser of a pair; the winner's is 1.
    """
    weights = np.where(fitness[:, :1] > fitness[:, 1:], [1.0, loser], [loser, 1.0])
    return weights.T.ravel() @ np.concatenate([eps, -eps]) / (2 * len(eps) * SIGMA)


def check(loser: float = 0.0) -> Result:
    """Errors of the expected direction, of the length, and of the batch."""
    g, eps = instance()
    errors = []
    for scale in (1.0, 1000.0):
        expected = expected_sign(scale * g)
        errors += [expected - np.sqrt(2 / np.pi) * g / np.linalg.norm(g)]
        errors += [np.linalg.norm(expected) * (1 - loser) / (2 * SIGMA) - np.sqrt(2 / np.pi) / (2 * SIGMA)]
    errors += [np.sqrt(2 / np.pi) / (2 * SIGMA) - 3.989422804014]
    fitness = 0.3 * np.stack([eps @ g, -eps @ g], -1)
    by_pairs = np.sign(fitness[:, 0] - fitness[:, 1]) @ eps / (2 * len(eps) * SIGMA)
    errors += [by_members(f, eps, loser) - by_pairs for f in (fitness, np.exp(fitness))]
    return identity(*errors)


def broken() -> Result:
    """Losers that count as -1, which doubles the step."""
    return check(loser=-1.0)
