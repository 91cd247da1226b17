"""Small designs: Gaussian (NPIV-G), Newey and Powell's, the sine of DFIV, and two of VMM.

`dfiv_sin` draws the numbers of the released code. The others have the distribution of their sources and draw
in an order of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrl.minimax.designs.record import Sample

KAPPA = 0.5
"""Endogeneity of NPIV-G."""


def gaussian(
    f0: Callable[[np.ndarray], np.ndarray], *, n: int, rho: float, seed: int, kappa: float = KAPPA
) -> Sample:
    """Gaussian design NPIV-G: z ~ N(0, 1), x = rho z + sqrt(1 - rho^2) xi, y = f0(x) + kappa xi + 0.1 e.

    E[h_k(x) | z] = rho^k h_k(z) for normalised Hermite polynomials, so every population quantity is a series.
    ValueError for rho outside [-1, 1].
    """
    if not -1 <= rho <= 1:
        raise ValueError(f"rho: a correlation lies in [-1, 1], got {rho}")
    draw = np.random.default_rng(seed)
    z, xi, e = draw.normal(size=(3, n))
    x = rho * z + math.sqrt(1 - rho**2) * xi
    return Sample(x[:, None], z[:, None], f0(x) + kappa * xi + 0.1 * e, f0(x))


def newey_powell_function(x: np.ndarray) -> np.ndarray:
    """The function f0(x) = log(|16 x - 8| + 1) sign(x - 1/2)."""
    return np.log(np.abs(16 * x - 8) + 1) * np.sign(x - 0.5)


def newey_powell(n: int, *, seed: int) -> Sample:
    """Newey and Powell's design: x = Phi((w + t) / sqrt 2), z = Phi(w), y = f0(x) + u, corr(u, t) = 1/2.

    The distribution of the released KIV code (1906.00232, `sim_NP.m`), not its numbers; its test points are
    `linspace(0, 1, 1000)`.
    """
    draw = np.random.default_rng(seed)
    u, v, w = draw.normal(size=(3, n))
    t = 0.5 * u + math.sqrt(0.75) * v
    x = _normal_cdf((w + t) / math.sqrt(2))
    truth = newey_powell_function(x)
    return Sample(x[:, None], _normal_cdf(w)[:, None], truth + u, truth)


def dfiv_sin(n: int, *, seed: int) -> Sample:
    """Draws z ~ U(-3, 3)^2, x = z_1 + e + noise, y = (sin x + e + noise) / sqrt 1.5, in the order of DFIV.

    Source: Xu et al. 2021 (2010.07154), released `src/data/sin.py`; noises N(0, 0.1), e ~ N(0, 1).
    """
    draw = np.random.default_rng(seed)
    z = draw.uniform(-3, 3, (n, 2))
    e = draw.normal(size=n)
    x = z[:, 0] + e + draw.normal(scale=0.1, size=n)
    y = np.sin(x) + e + draw.normal(scale=0.1, size=n)
    return Sample(x[:, None], z, y / math.sqrt(1.5), np.sin(x) / math.sqrt(1.5))


class Parametric(NamedTuple):
    """A sample and the parameters of its structural function."""

    sample: Sample
    parameters: np.ndarray


def simple_iv(n: int, *, seed: int) -> Parametric:
    """Quadratic f0(t) = a + b t + c t^2 of an endogenous t, with (a, b, c) = (0.5, 3, -0.5).

    z_0 ~ U(-5, 5), z = sin(pi z_0 / 10), h = 5 N, t = 0.3 (-2.5 z_0 - 2) + 0.7 (h + 0.2 N), y = f0(t) - 2 h
    + 0.1 N. Source: Bennett and Kallus 2020 (2012.09422), released `SimpleIVScenario`.
    """
    draw = np.random.default_rng(seed)
    z0 = draw.uniform(-5, 5, n)
    h, a, b = draw.normal(size=(3, n)) * np.array([[5.0], [0.2], [0.1]])
    t = 0.3 * (-2.5 * z0 - 2) + 0.7 * (h + a)
    parameters = np.array([0.5, 3.0, -0.5])
    truth = parameters[0] + parameters[1] * t + parameters[2] * t**2
    return Parametric(
        Sample(t[:, None], np.sin(np.pi * z0 / 10)[:, None], truth - 2 * h + b, truth), parameters
    )


def heteroskedastic_iv(n: int, *, seed: int) -> Parametric:
    """A kink, f0(t) = y0 + s (t - t0) + (r - s) softplus_2(t - t0), (t0, y0, s, r) = (2, 3, -0.5, 3).

    z ~ U(-5, 5)^2, h = 5 N, t = 0.75 (z_1 + |z_2|) + 0.25 (h + 0.2 N), y = f0(t) + h + 0.1 softplus_1(z_1 +
    |z_2|) N, softplus_k(v) = log(1 + e^(k v)) / k. Source: as `simple_iv`, `HeteroskedasticIVScenario`.
    """
    draw = np.random.default_rng(seed)
    z = draw.uniform(-5, 5, (n, 2))
    h, a, b = draw.normal(size=(3, n)) * np.array([[5.0], [0.2], [0.1]])
    level = z[:, 0] + np.abs(z[:, 1])
    t = 0.75 * level + 0.25 * (h + a)
    parameters = np.array([2.0, 3.0, -0.5, 3.0])
    t0, y0, left, right = parameters
    truth = y0 + left * (t - t0) + (right - left) * _softplus(t - t0, 2.0)
    return Parametric(Sample(t[:, None], z, truth + h + b * _softplus(level, 1.0), truth), parameters)


def _softplus(v: np.ndarray, k: float) -> np.ndarray:
    return np.logaddexp(0.0, k * v) / k


def _normal_cdf(v: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erfc, otypes=[np.float64])(-v / math.sqrt(2)) / 2
