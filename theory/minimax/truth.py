"""Closed forms of the instances: Hermite spectra, value functions, prices, discount factors, representers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxrl.minimax.instances import Burnside, Function, Pricing, gaussian_grid, hermite

NODES = 200  # of the quadrature of Hermite coefficients; exact for smooth functions


class Modes(NamedTuple):
    """Hermite coefficients `[k]` of f and g."""

    f: np.ndarray
    g: np.ndarray

    def at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both functions at x `[n]`."""
        basis = hermite(x, len(self.f))
        return basis @ self.f, basis @ self.g


def hermite_coefficients(function: Function, k: int, nodes: int = NODES) -> np.ndarray:
    """`[k]`, E[f(X) h_j(X)], X ~ N(0, 1); for kinks and jumps use `abs_coefficients`, `step_coefficients`."""
    grid = gaussian_grid(nodes)
    return (hermite(grid.x, k) * grid.p[:, None]).T @ function(grid.x)


def sin_coefficients(k: int) -> np.ndarray:
    """Coefficients `[k]` of sin: e^(-1/2) (-1)^((j - 1) / 2) / sqrt(j!) for odd j."""
    j = np.arange(k)
    size = np.exp(-0.5 - 0.5 * np.array([math.lgamma(i + 1) for i in j]))
    return np.where(j % 2 == 1, size * (-1.0) ** ((j - 1) // 2), 0.0)


def step_coefficients(k: int) -> np.ndarray:
    """Coefficients `[k]` of 1{x >= 0}: phi(0) He_(j-1)(0) / sqrt(j!), from the antiderivative."""
    at_zero = hermite(np.zeros(()), max(k, 2))
    found = np.array([0.5] + [at_zero[j - 1] / math.sqrt(j) for j in range(1, k)])
    found[1:] /= math.sqrt(2 * math.pi)
    return found


def abs_coefficients(k: int) -> np.ndarray:
    """Coefficients `[k]` of |x| = x (2 step - 1): from x h_j = sqrt(j + 1) h_(j+1) + sqrt(j) h_(j-1)."""
    sign = 2 * step_coefficients(k + 2)
    sign[0] -= 1
    j = np.arange(k)
    return np.sqrt(j) * np.r_[0.0, sign][:k] + np.sqrt(j + 1) * sign[1 : k + 1]


def tikhonov_modes(c: np.ndarray, rho: float, lam: float) -> Modes:
    """Saddle of Gaussian instruments for truth c `[k]`."""
    decay = rho ** np.arange(len(c))
    return Modes(decay**2 * c / (decay**2 + lam), -lam * decay * c / (decay**2 + lam))


def ar1_value(c: np.ndarray, a: float, gamma: float) -> np.ndarray:
    """`[k]`, coefficients c_j / (1 - gamma a^j) of V for rewards c `[k]`."""
    return c / (1 - gamma * a ** np.arange(len(c)))


def ar1_quadratic_value(s: Any, a: float, gamma: float) -> Any:
    """V(s) of the reward -s^2, shaped like s."""
    return -(np.asarray(s) ** 2 + gamma * (1 - a**2) / (1 - gamma)) / (1 - gamma * a**2)


def chain_value(P: np.ndarray, r: np.ndarray, gamma: float, steps: int = 2000) -> np.ndarray:
    """`[S]`, V of a finite chain by summing discounted rewards, not by solving."""
    v = np.zeros(len(r))
    for _ in range(steps):
        v = r + gamma * P @ v
    return v


def burnside_price(x: Any, economy: Burnside = Burnside(), terms: int = 1000) -> np.ndarray:
    """v(x) `[...]`, the price-dividend ratio: sum_i beta^i exp(a_i + b_i (x - mean)), for x `[...]`.

    Source: Burnside 1998.
    """
    rho, theta, i = economy.rho, economy.theta, np.arange(1, terms + 1)
    spread = (theta * economy.s) ** 2 / (2 * (1 - rho) ** 2)
    power = (1 - rho**i) / (1 - rho)
    a = theta * economy.mean * i
    a = a + spread * (i - 2 * rho * power + rho**2 * (1 - rho ** (2 * i)) / (1 - rho**2))
    gap = np.asarray(x, np.float64)[..., None] - economy.mean
    return np.exp(i * math.log(economy.beta) + a + theta * rho * power * gap).sum(-1)


def discount(x: Any, economy: Pricing = Pricing()) -> np.ndarray:
    """m(x') = e^(-d - k x'), shaped like x."""
    return np.exp(-economy.d - economy.k * np.asarray(x))


def treatment_representer(treated: Any, v: Any) -> np.ndarray:
    """rho(D, V) = D / e(V) - (1 - D) / (1 - e(V)) of the treatment effect, e the logistic function."""
    e = 1 / (1 + np.exp(-np.asarray(v)))
    return treated / e - (1 - treated) / (1 - e)
