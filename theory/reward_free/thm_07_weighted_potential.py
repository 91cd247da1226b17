"""Weighted by norms and variances, uncertainties add up to a constant and a root of summed variances.

Statement. Let Z_1 = lambda I, Z_{k+1} = Z_k + x_k x_k' / sbar_k^2 and
sbar_k^2 = max{gamma^2 |x_k| in the inverse of Z_k, sigma_k^2, alpha^2}, |x_k| <= 1. With
iota = log(1 + T / (d lambda alpha^2)),
    sum_k min{1, beta |x_k|} <= 2 d iota + 2 beta gamma^2 d iota
                                + 2 sqrt(d iota) sqrt(sum_k beta^2 (sigma_k^2 + alpha^2)).
(zhang2023hf, weighted elliptical potential.)

Check. 100 random sequences of 2000 features in three dimensions, with standard deviations over four orders
of magnitude, alpha and gamma as in the paper for H = 16, beta = 0.5 and 5.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result, inequality

ALPHA, GAMMA, LAM = 16**-0.5, 3**-0.25, 0.5


def instance() -> tuple[np.ndarray, np.ndarray]:
    """100 sequences: features `[2000, 100, 3]` in the unit ball and standard deviations `[2000, 100]`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 100, 3))
    x *= rng.random((2000, 100, 1)) ** 0.5 / np.linalg.norm(x, axis=-1, keepdims=True)
    return x, 10.0 ** rng.uniform(-4, 0, (2000, 100))


def check(learns: bool = True) -> Result:
    """The sums beside their bounds."""
    x, sigma = instance()
    T, n, d = x.shape
    norms, Z = np.zeros((T, n)), np.broadcast_to(LAM * np.eye(d), (n, d, d)).copy()
    for k, row in enumerate(x):
        norms[k] = np.sqrt((row * np.linalg.solve(Z, row[..., None])[..., 0]).sum(-1))
        weight = 1 / np.maximum(np.maximum(GAMMA**2 * norms[k], sigma[k] ** 2), ALPHA**2)
        if learns:
            Z += weight[:, None, None] * row[:, :, None] * row[:, None, :]
    iota = np.log(1 + T / (d * LAM * ALPHA**2))
    sums, bounds = [], []
    for beta in (0.5, 5.0):
        sums.append(np.minimum(1, beta * norms).sum(0))
        spread = np.sqrt(d * iota) * np.sqrt((beta**2 * (sigma**2 + ALPHA**2)).sum(0))
        bounds.append(2 * d * iota * (1 + beta * GAMMA**2) + 2 * spread)
    return inequality(sums, bounds)


def broken() -> Result:
    """Norms in the metric of the start."""
    return check(learns=False)
