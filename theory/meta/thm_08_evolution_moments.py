"""Antithetic pairs estimate the gradient of a quadratic without bias, with a variance that ignores its level.

Statement. F(phi) = b'phi - phi'H phi / 2 in d dimensions with gradient g. The antithetic estimator
((F+ - F-) / (2 sigma)) eps has mean g for every sigma and covariance of trace (d + 1) |g|^2. The plain
estimator F(phi + sigma eps) eps / sigma has mean g and a covariance of trace F_0^2 d / sigma^2 + (d + 1)
|g|^2 + sigma^2 (d + 4) (tr(H)^2 + 2 tr(H H)) / 4 - F_0 (d + 2) tr H, which depends on the level F_0.
Independent task noise of variance s^2 in both members adds d s^2 / (2 sigma^2), shared noise nothing.
(Gaussian moments; Salimans et al. 2017 for the estimators.)

Check. d = 5, H = diag(1 .. 5), sigma = 0.1: expectations by tensor Gauss-Hermite quadrature of 4^5 nodes,
which is exact for these polynomials, against the formulas and against the traces 56.04, 573.1775 and, with
s = 1, 306.04.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from theory.exact.result import Result, identity

SIGMA, NOISE = 0.1, 1.0


class Quadratic(NamedTuple):
    """F(phi) = b'phi - phi' diag(h) phi / 2 and the place phi, each `[d]`."""

    h: np.ndarray
    b: np.ndarray
    phi: np.ndarray

    def value(self, x: np.ndarray) -> np.ndarray:
        """F at `x` `[..., d]`."""
        return x @ self.b - (x**2 @ self.h) / 2

    def gradient(self) -> np.ndarray:
        """The gradient at phi, `[d]`."""
        return self.b - self.h * self.phi


def instance() -> Quadratic:
    """The quadratic of five dimensions."""
    return Quadratic(
        np.arange(1.0, 6), np.array([1, 0.5, -0.5, 0.2, 0]), np.array([0.3, -0.2, 0.5, 0.1, -0.4])
    )


def normals(d: int, nodes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Nodes `[nodes^d, d]` and weights of the standard normal, exact to degree 2 nodes - 1."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    eps = np.array(list(itertools.product(x, repeat=d)))
    return eps, np.array(list(itertools.product(w, repeat=d))).prod(1)


def moments(estimate: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean `[d]` and trace of the covariance of estimates `[n, d]`."""
    mean = weights @ estimate
    return mean, float(weights @ (estimate**2).sum(1) - mean @ mean)


def antithetic(F: Quadratic, noise: float = 0.0, shared: bool = True) -> tuple[np.ndarray, float]:
    """Moments of the antithetic estimator, with task noise of two values +-noise in each member."""
    eps, weights = normals(len(F.phi))
    ahead, behind = (F.value(F.phi + sign * SIGMA * eps) for sign in (1, -1))
    draws = [(u, u if shared else v) for u in (noise, -noise) for v in (noise, -noise)]
    estimates = [((ahead + u - behind - v) / (2 * SIGMA))[:, None] * eps for u, v in draws]
    return moments(np.concatenate(estimates), np.tile(weights, 4) / 4)


def plain(F: Quadratic) -> tuple[np.ndarray, float]:
    """Moments of the plain estimator."""
    eps, weights = normals(len(F.phi))
    return moments(F.value(F.phi + SIGMA * eps)[:, None] * eps / SIGMA, weights)


def plain_trace(F: Quadratic) -> float:
    """The formula of the plain estimator's trace."""
    d, g2, level = len(F.phi), (F.gradient() ** 2).sum(), F.value(F.phi)
    trace, square = F.h.sum(), (F.h**2).sum()
    inside = level**2 * d + SIGMA**2 * (d + 2) * g2 + SIGMA**4 / 4 * (trace**2 + 2 * square) * (d + 4)
    return float((inside - level * SIGMA**2 * (d + 2) * trace) / SIGMA**2 - g2)


def check(shared: bool = True) -> Result:
    """Errors of means and traces.

    shared: whether the members that are said to share their task do.
    """
    F = instance()
    g, d = F.gradient(), len(F.phi)
    paired, alone = antithetic(F, NOISE, shared), antithetic(F, NOISE, shared=False)
    formula = (d + 1) * (g @ g)
    return identity(
        paired[0] - g,
        paired[1] - formula,
        formula - 56.04,
        alone[1] - formula - d * NOISE**2 / (2 * SIGMA**2),
        alone[1] - 306.04,
        plain(F)[0] - g,
        plain(F)[1] - plain_trace(F),
        plain_trace(F) - 573.1775,
    )


def broken() -> Result:
    """Members of a pair with tasks of their own, said to share them."""
    return check(shared=False)
