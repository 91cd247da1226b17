"""With the parameter in the ellipsoids, the estimated variance of every power is off by at most its slack.

Statement. Let |theta_m - theta*| <= beta in the metric of Gram_m for all m. With V in [0, 1],
x_m = phi_{V^(2^m)}, the variance of V^(2^m)(s') is within
    E_m = [2 beta |x_m|]_[0,1] + [beta |x_{m+1}|]_[0,1]   of   [<x_{m+1}, theta_{m+1}>]_[0,1]
    - [<x_m, theta_m>]_[0,1]^2,
norms in the inverse Gram matrices, so that sigma_m^2 lies between the variance and variance + 2 E_m.
(zhang2023hf, high-order moment estimator.)

Check. 200 random mixtures with estimates on the boundary of their ellipsoids, four moments, all pairs:
`jaxrl.reward_free.moments` with alpha = gamma = 0, and its weights with them against the formula in numpy.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.reward_free import moments
from theory.exact.result import Result
from theory.reward_free import definitions
from theory.reward_free.instances import random_mixture

M, TOLERANCE = 4, 1e-10


def instance(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """phi, theta*, estimates `[M, d]`, Gram matrices `[M, d, d]` and beta; 4 states, 2 actions, d = 3."""
    rng = np.random.default_rng(seed)
    mixture, beta = random_mixture(seed, 4, 2, 3), float(rng.uniform(0.05, 0.5))
    roots = rng.normal(size=(M, 3, 3)) * 2
    gram = roots @ np.swapaxes(roots, 1, 2) + 0.5 * np.eye(3)
    z = rng.normal(size=(M, 3, 1))
    away = np.linalg.solve(
        np.swapaxes(np.linalg.cholesky(gram), 1, 2), z / np.linalg.norm(z, axis=1)[:, None]
    )
    return mixture.phi, mixture.theta, mixture.theta + beta * away[..., 0], gram, beta


def check(share: float = 1.0) -> Result:
    """Violation of both inequalities and difference to the formula; `share` of beta enters the slack."""
    errors = []
    for seed in range(200):
        phi, theta, estimates, gram, beta = instance(seed)
        V = np.random.default_rng(seed).random(4)
        x = np.stack([definitions.integrated(phi, V**2.0**m) for m in range(M + 1)], -2).reshape(-1, M + 1, 3)
        exact = x @ theta
        variance = exact[:, 1:] - exact[:, :-1] ** 2
        x = x[:, :M]
        means = (x * estimates).sum(-1)
        norms = np.stack([definitions.norm(x[:, m], gram[m]) for m in range(M)], -1)
        own = share * beta
        with jax.enable_x64(True):
            sigma2 = np.asarray(moments.variances(means, norms, norms, own, 0.0, 0.0))
            full = np.asarray(moments.variances(means, norms, norms / 1.2, own, 0.1, 0.8))
        rows = zip(means, norms, norms / 1.2, strict=True)
        written = [definitions.moment_variances(*row, own, 0.1, 0.8) for row in rows]
        slack = np.minimum(1, 2 * beta * norms[:, :-1]) + np.minimum(1, beta * norms[:, 1:])
        errors += [
            (variance - sigma2)[:, :-1].max(),
            (sigma2[:, :-1] - np.maximum(variance[:, :-1] + 2 * slack, 0)).max(),
            np.abs(full - written).max(),
        ]
    measured = float(max(errors))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """A quarter of the radius in the slack."""
    return check(share=0.25)
