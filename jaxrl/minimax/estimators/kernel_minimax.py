"""Adversarial instrumental regression with Gaussian kernels on both sides, in closed form.

    min_f max_g  (1/n) sum_i (y_i - f(x_i)) g(z_i) - c_1 |g|_n^2 - c_2 |g|_F^2 + c_3 |f|_H^2

With Gram matrices Kh of treatments and Kf of instruments the inner maximum is a quadratic form in the
residual, with matrix M = Kf^(1/2) (Kf / (2 n delta^2) + I/2)^-1 Kf^(1/2), and f = sum_i a_i k(x_i, .) solves
(Kh M Kh + alpha Kh) a = Kh M y. The critical radius is delta = 5 / n^0.4, alpha = scale delta^4.

The kernels have a given width, so all three estimators expect treatments, instruments and outcomes in units
of their standard deviations (`designs.record.Scale`): with treatments of size 1e4 every f is 0.

Source: Dikkala et al. 2020 (2006.07201), released `mliv/rkhs/rkhsiv.py`. Difference: there M of a fold comes
from the block of the root of the whole Kf, which is no root of the fold's Kf; here from the fold's own.

Legend: x `[n, dx]`, z `[n, dz]`, y `[n]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from jaxrl.core.fields import Range, Size, check_value
from jaxrl.minimax.estimators.checks import (
    Observed,
    Predictor,
    candidates,
    observed,
    positive,
    predictor,
    smallest,
)
from jaxrl.minimax.estimators.kernels import nystrom, rbf, ridge_path, spectral

SCALES = tuple(np.geomspace(0.1, 1e4, 30).tolist())
"""Scales of alpha that cross-validation tries in the released code; its single choice is 60."""


class KernelMinimax(NamedTuple):
    """A fit: `predict` is f, `scale` the (chosen) factor of delta^4, `loss [S]` the scores of all scales."""

    predict: Predictor
    scale: float
    loss: np.ndarray


def critical_radius(n: float) -> float:
    """The radius delta = 5 / n^0.4 of `n` observations (of a fold: possibly a fraction).

    Raises `UsageError` for n <= 0.
    """
    positive(n=n)
    return 5 / n**0.4


def inner(kf: np.ndarray, n: float) -> np.ndarray:
    """M, `[m, m]`, of the Gram matrix `kf [m, m]` of the instruments with the radius of `n` observations.

    Equation: dikkala2020minimax [closed form, M]
    """
    s, v = spectral(kf)
    return (v * (s / (s / (2 * n * critical_radius(n) ** 2) + 0.5))) @ v.T


def kernel_minimax(
    x: np.ndarray, z: np.ndarray, y: np.ndarray, *, gamma: float = 2.0, scale: float = 60.0
) -> KernelMinimax:
    """The estimator with a given scale of alpha, for standardised data.

    gamma: of the kernels exp(-gamma |d|^2). Raises `UsageError` as `checks.observed`.

    Equation: dikkala2020minimax [closed form]
    """
    data = observed(x, z, y)
    positive(gamma=gamma, scale=scale)
    return _fit(data, rbf(data.x, data.x, gamma), rbf(data.z, data.z, gamma), gamma, scale, np.zeros(0))


def kernel_minimax_cv(
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    *,
    gamma: float = 2.0,
    scales: Sequence[float] = SCALES,
    folds: int = 6,
) -> KernelMinimax:
    """The estimator whose scale has the least violation r' M r / n^2 on left-out folds (consecutive rows).

    For standardised data. Raises as `kernel_minimax`, and `NumericalFailure` where no scale has a finite one.
    """
    data = observed(x, z, y)
    y = data.y
    positive(gamma=gamma)
    scales = candidates("scales", scales)
    kh, kf = rbf(data.x, data.x, gamma), rbf(data.z, data.z, gamma)
    loss, parts = np.zeros(len(scales)), _folds(len(y), folds)
    n_train, n_test = len(y) * (folds - 1) / folds, len(y) / folds
    for train, test in parts:
        own = kh[np.ix_(train, train)]
        m_train = inner(kf[np.ix_(train, train)], n_train)
        path = ridge_path(own, m_train, m_train @ y[train])
        m_test = inner(kf[np.ix_(test, test)], n_test)
        for i, scale in enumerate(scales):
            residual = y[test] - kh[np.ix_(test, train)] @ path(scale * critical_radius(n_train) ** 4)
            loss[i] += residual @ m_test @ residual / len(test) ** 2 / folds
    return _fit(data, kh, kf, gamma, scales[smallest("scales", loss)], loss)


def kernel_minimax_nystrom(
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    *,
    gamma: float = 0.1,
    scales: Sequence[float] = tuple(np.geomspace(1, 1e4, 10).tolist()),
    folds: int = 5,
    rank: int = 100,
    seed: int = 1,
) -> KernelMinimax:
    """The cross-validated estimator on Nystrom features of both kernels; defaults are those of the paper.

    For standardised data. rank: landmarks, drawn with `seed`. Raises as `kernel_minimax_cv`.
    """
    x, z, y = observed(x, z, y)
    positive(gamma=gamma)
    scales, parts = candidates("scales", scales), _folds(len(y), folds)
    check_value("rank", rank, Size)
    draw = np.random.default_rng(seed)
    features_x, features_z = nystrom(x, gamma, rank, draw), nystrom(z, gamma, rank, draw)
    h, g = features_x(x), features_z(z)
    loss = np.zeros(len(scales))
    n_train, n_test = len(y) * (folds - 1) / folds, len(y) / folds
    for train, test in parts:
        q_test = _inner_features(g[test], n_test)
        for i, scale in enumerate(scales):
            coef = _features_fit(h[train], g[train], y[train], n_train, scale)
            moment = g[test].T @ (y[test] - h[test] @ coef)
            loss[i] += moment @ q_test @ moment / len(test) ** 2 / folds
    scale = scales[smallest("scales", loss)]
    coef = _features_fit(h, g, y, len(y), scale)
    return KernelMinimax(predictor(lambda at: features_x(at) @ coef, x.shape[1]), scale, loss)


def _inner_features(g: np.ndarray, n: float) -> np.ndarray:
    return np.linalg.inv(g.T @ g / (2 * n * critical_radius(n) ** 2) + np.eye(g.shape[1]) / 2)


def _features_fit(h: np.ndarray, g: np.ndarray, y: np.ndarray, n: float, scale: float) -> np.ndarray:
    cross, q = h.T @ g, _inner_features(g, n)
    gram = cross @ q @ cross.T + scale * critical_radius(n) ** 4 * np.eye(h.shape[1])
    return np.linalg.solve(gram, cross @ q @ (g.T @ y))


def _fit(
    data: Observed, kh: np.ndarray, kf: np.ndarray, gamma: float, scale: float, loss: np.ndarray
) -> KernelMinimax:
    n = len(data.y)
    m = inner(kf, n)
    coef = ridge_path(kh, m, m @ data.y)(scale * critical_radius(n) ** 4)
    return KernelMinimax(
        predictor(lambda at: rbf(at, data.x, gamma) @ coef, data.x.shape[1]), float(scale), loss
    )


def _folds(n: int, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    check_value("folds", folds, Annotated[int, Range(2, n)])
    index = np.arange(n)
    return [(np.setdiff1d(index, test), test) for test in np.array_split(index, folds)]
