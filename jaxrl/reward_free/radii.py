"""Radii of the confidence ellipsoids |theta - theta*|_Gram <= beta, one function each, and their constants.

A radius has one of three modes. `theory` is what the theorem states, `scaled` is c_beta times that, and
`plain` is c_beta times the self-normalised bound without its logarithms and constants. Theory radii are so
large that no number of episodes one can run certifies anything; c_beta belongs beside every result.

Legend: `k` the current episode from 1, `K` all episodes, `H` horizon, `d` features, `B` the bound on
|theta*|. Every array argument is `[]`.
"""

from __future__ import annotations

import math
from typing import Literal

import jax.numpy as jnp

from jaxrl.core.fields import Size, check_value
from jaxrl.core.types import Array
from jaxrl.reward_free.regression import VTRState, distance

BetaMode = Literal["theory", "plain", "scaled"]


def orders(K: int, H: int) -> int:
    """The number of orders M = ceil(log2(7 K H)) of the theorem.

    Raises UsageError unless K and H are whole numbers >= 1.

    Equation: zhang2023hf [number of moment orders]
    """
    K, H = check_value("K", K, Size), check_value("H", H, Size)
    return math.ceil(math.log2(7 * K * H))


def ridge_weight(d: Array, bound: Array) -> Array:
    """The ridge weight lambda = d / B^2 of the algorithms with moment weights.

    Equation: zhang2023hf [ridge weight]
    """
    return d / jnp.square(bound)


def eta(k: Array, H: Array, d: Array, lam: Array, alpha: Array) -> Array:
    """eta_k = log(1 + k H / (alpha^2 d lambda)).

    Equation: zhang2023hf [eta]
    """
    return jnp.log1p(k * 1.0 * H / (alpha**2 * d * lam))  # episodes times steps leave int32


def tau(k: Array, H: Array, alpha: Array, gamma: Array, delta: Array) -> Array:
    """tau_k = log(32 (log(gamma^2 / alpha) + 1) k^2 H^2 / delta).

    The inner logarithm is kept >= 0: as printed the argument is <= 0 where H < d / e^2.

    Equation: zhang2023hf [tau]
    """
    inner = jnp.maximum(jnp.log(gamma**2 / alpha), 0.0) + 1
    return jnp.log(32 * inner * (k * 1.0 * H) ** 2 / delta)


def hf_theory(k: Array, H: Array, d: Array, bound: Array, delta: Array, alpha: Array, gamma: Array) -> Array:
    """beta_k = 12 sqrt(d eta_k tau_k) + 30 tau_k / gamma^2 + sqrt(lambda) B.

    Equation: zhang2023hf [confidence radius]
    """
    lam = ridge_weight(d, bound)
    t = tau(k, H, alpha, gamma, delta)
    return 12 * jnp.sqrt(d * eta(k, H, d, lam, alpha) * t) + 30 * t / gamma**2 + jnp.sqrt(lam) * bound


def hf_plain(k: Array, H: Array, d: Array, bound: Array, delta: Array, alpha: Array) -> Array:
    """sqrt(d eta_k + 2 log(1 / delta)) + sqrt(lambda) B, the radius `plain` at c_beta = 1."""
    lam = ridge_weight(d, bound)
    return jnp.sqrt(d * eta(k, H, d, lam, alpha) - 2 * jnp.log(delta)) + jnp.sqrt(lam) * bound


def hf_radius(
    mode: BetaMode,
    c_beta: Array,
    k: Array,
    H: Array,
    d: Array,
    bound: Array,
    delta: Array,
    alpha: Array,
    gamma: Array,
) -> Array:
    """The radius of HF-UCRL-RFE++ and HF-UCRL-VTR+ in one of three modes; `theory` does not read c_beta."""
    if mode == "plain":
        return c_beta * hf_plain(k, H, d, bound, delta, alpha)
    theory = hf_theory(k, H, d, bound, delta, alpha, gamma)
    return theory if mode == "theory" else c_beta * theory


def bernstein(
    k: Array,
    d: Array,
    lam: Array,
    bound: Array,
    delta: Array,
    sigma: Array,
    R: Array,
    L: Array,
    e: Array,
    largest: Array,
) -> Array:
    """The general radius behind that of the theorem, for noise |eta_i| <= R of conditional variance
    <= sigma^2 and features |x_i| <= L; any e > 0. largest = max_i |eta_i| min{1, |x_i|_(Z_(i-1)^-1)}.

    Equation: zhang2023hf [weighted self-normalised bound]
    """
    log = jnp.log(32 * (jnp.log(R / e) + 1) * (k * 1.0) ** 2 / delta)
    spread = 12 * jnp.sqrt(sigma**2 * d * jnp.log1p(k * 1.0 * L**2 / (d * lam)) * log)
    return spread + 24 * log * largest + 6 * log * e + jnp.sqrt(lam) * bound


def hf_bound(K: Array, H: Array, d: Array, M: Array, beta: Array, bound: Array, delta: Array) -> Array:
    """The bound on the planning error after K episodes, with probability >= 1 - 4 M delta, at the paper's
    alpha = H^-1/2, gamma = d^-1/4 and lambda = d / B^2; beta is beta_K. Not defined for K H < 2.

    Equation: zhang2023hf [guarantee]
    """
    lam, alpha2, gamma2 = ridge_weight(d, bound), 1 / H, 1 / jnp.sqrt(d)
    iota = jnp.log1p(K * 1.0 * H / (d * lam * alpha2))
    zeta = 4 * jnp.log(4 * jnp.log(K * 1.0 * H) / delta)
    slow = 64 * jnp.maximum(8 * beta * jnp.sqrt(d * iota), jnp.sqrt(2 * zeta))
    slow += 120 * beta * jnp.sqrt(d * iota * H * alpha2)
    fast = 896 * jnp.maximum(64 * beta**2 * d * iota, 2 * zeta) + 24 * zeta + 240 * d * iota
    fast += 240 * beta * gamma2 * d * iota + 120 * beta * d * iota * jnp.sqrt(M)
    fast += 24 * jnp.sqrt(zeta * M * d * iota) + M * d * iota
    return 4 / jnp.sqrt(K) * slow + 4 / K * fast


def realised(state: VTRState, theta: Array, unit: Array) -> Array:
    """rho, the largest |theta_m - theta|_(Gram_m) / unit over all regressions, float[].

    theta: `[B, k]`, the true parameter, known in simulation. unit: the radius at c_beta = 1, `[]`, or one per
    regression.

    The true parameter lies in every ellipsoid exactly where c_beta >= rho.
    """
    estimates = state.theta
    away = estimates - theta.reshape((1,) * (estimates.ndim - theta.ndim) + theta.shape)
    return (distance(state.gram, away) / unit).max()


def rfe_published(K: Array, H: Array, d: Array, bound: Array, delta: Array) -> Array:
    """H sqrt(d log(3 (1 + K H^3 B^2) / delta)) + 1, of UCRL-RFE for values in [0, H].

    Equation: zhang2021rfe [confidence radius]
    """
    return H * jnp.sqrt(d * jnp.log(3 * (1 + K * (H * 1.0) ** 3 * bound**2) / delta)) + 1


def rfe_one(K: Array, H: Array, d: Array, bound: Array, delta: Array) -> Array:
    """sqrt(d log(3 (1 + K H B^2) / delta)) + 1, the same for values in [0, 1]."""
    return jnp.sqrt(d * jnp.log(3 * (1 + K * 1.0 * H * bound**2) / delta)) + 1


def rfe_plus(K: Array, H: Array, d: Array, bound: Array, delta: Array) -> tuple[Array, Array, Array, Array]:
    """The radii of UCRL-RFE+ in the order of its regressions: of the first, of the plan, of the mean in the
    error of the variance, and of the second moment, float[] each.

    Equation: zhang2021rfe [confidence radii with variances]
    """
    L = jnp.log(48 * (K * 1.0) ** 2 * (H * 1.0) ** 2 / delta)
    growth = jnp.log(1 + K * 1.0 * H * bound**2)
    root_d = jnp.sqrt(jnp.asarray(d, float))
    first = H * jnp.sqrt(d * jnp.log(12 * (1 + K * (H * 1.0) ** 3 * bound**2) / delta)) + 1
    plan = 8 * jnp.sqrt(d * growth * L) + 4 * root_d * L + 1
    mean = 8 * d * jnp.sqrt(growth * L) + 4 * root_d * L + 1
    square = 8 * H**2 * jnp.sqrt(d * growth * L) + 4 * H**2 * L + 1
    return first, plan, mean, square
