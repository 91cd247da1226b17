"""With both parameters in the ellipsoids, four times the largest uncertainty bounds the planning error.

Statement. Let theta and theta* give kernels and lie within beta of one centre in the metrics of both Gram
matrices hat and tilde. Then for every reward of total at most 1 the policy planned with theta loses at most
    4 max over pi and r in R of Vhat_1(s_1; theta, pi, r),
and the maximum over r is attained at an indicator of a set of states at one stage.
(zhang2023hf, planning error and uncertainty.)

Check. 12 random mixtures with two and three states, theta near theta*, centre half-way, beta such
that both parameters lie on the boundary of the smaller ellipsoid: the
worst error by alternating programmes, the largest Vhat by
enumeration.
"""

from __future__ import annotations

import numpy as np

from theory.exact import planning_error
from theory.exact.result import Result, inequality
from theory.reward_free import definitions
from theory.reward_free.instances import random_mixture


def instance(
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], float, int]:
    """phi, theta*, theta, (hat, tilde), beta and H."""
    rng = np.random.default_rng(seed)
    S, d = 2 + seed % 2, 2 + seed % 3
    mixture = random_mixture(seed, S, 2, d)
    other = 0.9 * mixture.theta + 0.1 * np.sqrt(d) * rng.dirichlet(np.ones(d))
    roots = rng.normal(size=(2, d, d))
    hat, tilde = roots @ np.swapaxes(roots, 1, 2) + 0.1 * np.eye(d)
    half = (other - mixture.theta) / 2
    beta = max(np.sqrt(half @ g @ half) for g in (hat, tilde))
    return mixture.phi, mixture.theta, other, (hat, tilde), float(beta), 3


def check(factor: float = 4.0, share: float = 1.0) -> Result:
    """The worst error beside `factor` times the largest uncertainty with `share` of beta."""
    left, right = [], []
    for seed in range(12):
        phi, theta, other, grams, beta, H = instance(seed)
        left.append(planning_error.lower(phi @ theta, phi @ other, H, random=5).value)
        right.append(factor * definitions.largest_uncertainty(phi, other, grams, share * beta, H))
    return inequality(left, right)


def broken() -> Result:
    """A twentieth of the radius, so that the true parameter lies outside."""
    return check(share=0.05)
