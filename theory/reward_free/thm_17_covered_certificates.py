"""A certificate holds wherever the realised radius is covered, however the data were collected.

Statement. Regress V(s') of random value functions on phi_V(s, a), with weights from two moments, in two
series. Let rho be the largest distance of the true parameter, and of the parameter that plans are made with,
from an estimate of order 0 in its own metric. With beta = rho, four times the largest truncated uncertainty
bounds the worst planning error over all rewards of total at most 1; with a smaller beta it need not.
(zhang2023hf, coverage and planning error.)

Check. Random mixtures with three states, two actions, two features, H = 3, after 10, 60 and 200
transitions of uniform actions: the worst error by alternating programmes, the largest uncertainty by
enumeration. The parameter that is planned with is the merged estimate, moved to the nearest mixture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from theory.exact import planning_error
from theory.exact.result import Result, inequality
from theory.reward_free import definitions
from theory.reward_free.instances import Mixture, random_mixture

H, M, D = 3, 2, 2
LAM, ALPHA, GAMMA = 1.0, H**-0.5, D**-0.25
CHECKED = (10, 60, 200)


class Fit(NamedTuple):
    """What one run knows at one time: Gram matrices of order 0 (hat, tilde), rho, and the parameter
    that plans are made with.
    """

    grams: tuple[np.ndarray, np.ndarray]
    rho: float
    theta: np.ndarray


def instance(seed: int) -> tuple[Mixture, list[Fit]]:
    """A mixture and what a run of 200 transitions knows at the times that are checked."""
    mixture, rng = random_mixture(seed, 3, 2, D), np.random.default_rng(100 + seed)
    grams, b = np.tile(LAM * np.eye(D), (2, M, 1, 1)), np.zeros((2, M, D))
    found, s = [], 0
    for t in range(1, CHECKED[-1] + 1):
        a = rng.integers(2)
        after = rng.choice(3, p=mixture.P[s, a])
        for i in range(2):
            V = rng.random(3)
            targets = np.stack([V, V**2])
            x = targets @ mixture.phi[s, a]
            estimates = np.linalg.solve(grams[i], b[i][..., None])[..., 0]
            norms = np.array([definitions.norm(x[m], grams[i, m]) for m in range(M)])
            sigma2 = definitions.moment_variances((x * estimates).sum(-1), norms, norms, 1.0, ALPHA, GAMMA)
            grams[i] += x[:, :, None] * x[:, None, :] / sigma2[:, None, None]
            b[i] += x * (targets[:, after] / sigma2)[:, None]
        s = after
        if t in CHECKED:
            found.append(_fit(mixture.theta, grams[:, 0].copy(), b[:, 0].copy()))
    return mixture, found


def check(share: float = 1.0) -> Result:
    """The worst error beside four times the largest uncertainty, with `share` of rho as radius."""
    left, right = [], []
    for seed in range(3):
        (phi, theta), fits = instance(seed)
        for fit in fits:
            left.append(planning_error.lower(phi @ theta, phi @ fit.theta, H, random=5).value)
            radius = share * fit.rho
            right.append(4 * definitions.largest_uncertainty(phi, fit.theta, fit.grams, radius, H))
    return inequality(left, right)


def broken() -> Result:
    """A hundredth of the realised radius, which covers nothing."""
    return check(share=0.01)


def _fit(theta: np.ndarray, grams: np.ndarray, b: np.ndarray) -> Fit:
    centres = np.linalg.solve(grams, b[..., None])[..., 0]
    merged = np.linalg.solve(grams.sum(0) - LAM * np.eye(D), b.sum(0))
    share = np.clip((merged[0] - merged[1]) / np.sqrt(2) / 2 + 0.5, 0, 1)  # nearest point of the simplex
    planned = np.sqrt(2) * np.array([share, 1 - share])
    away = np.stack([x - c for x in (theta, planned) for c in centres])
    rho = np.sqrt(np.einsum("ni,nij,nj->n", away, np.concatenate([grams, grams]), away)).max()
    return Fit((grams[0], grams[1]), float(rho), planned)
