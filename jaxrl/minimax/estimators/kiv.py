"""Kernel instrumental variable regression: kernel ridge regression twice, on two halves of the data.

Stage 1 learns the conditional mean embedding of treatments on the first half, stage 2 regresses the outcomes
of the second half on it. Two released codes disagree in details, and both are here.

| | `matlab` (1906.00232) | `port` (DFIV's, 2010.07154) |
|---|---|---|
| kernel | product over columns of exp(-d^2 / (2 v^2)) | exp(-|d|^2 / s) |
| width | v, median distance of the column in the whole sample | s, median of |d|^2 within stage 1 |
| stage 1 | K_ZZ + c I, c = lam | c = n lam |
| lam, xi | minimise the stage losses over 50 values in 10^[-6, 2] | over 50 values in 10^[-10, -2] |

Difference: the MATLAB code minimises by `fminunc` from a start of its own, here over a grid, as in the port.

Legend: x `[n, dx]`, z `[n, dz]`, y `[n]`; stages of `n` and `m` rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxrl.minimax.estimators.kernels import median_distance, median_square_distance, rbf, ridge_path
from jaxrl.minimax.estimators.two_stage import Predictor

Variant = Literal["matlab", "port"]
RIDGES: dict[str, tuple[float, ...]] = {
    "matlab": tuple(np.logspace(2, -6, 50).tolist()),
    "port": tuple(np.logspace(-2, -10, 50).tolist()),
}
"""Values of lam and xi that are tried."""


class Kiv(NamedTuple):
    """A fit: `predict` is f; lam and xi as chosen; their stage losses `[ridges]`."""

    predict: Predictor
    lam: float
    xi: float
    loss1: np.ndarray
    loss2: np.ndarray


def product_widths(a: np.ndarray) -> np.ndarray:
    """Median distance of each column of `a [n, d]`, `[d]`, over pairs i < j; ValueError where it is zero."""
    widths = np.array([median_distance(column[:, None]) for column in a.T])
    if not np.all(widths > 0):
        raise ValueError("width: the median distance of a column is zero; the `matlab` variant needs another")
    return widths


def stage1(
    kxx: np.ndarray, kxx2: np.ndarray, kzz: np.ndarray, kzz2: np.ndarray, ridges: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """`(weights [n, m], loss [R])` of the best c in `ridges`: weights (K_ZZ + c I)^-1 K_Z1Z2.

    kxx `[n, n]`, kxx2 `[n, m]`: treatments of stage 1 with 1 and 2; kzz, kzz2 the same of instruments. loss:
    mean squared RKHS distance of k(x_j, .) and its embedding over stage 2, without the constant k(x_j, x_j).
    """
    s, v = np.linalg.eigh((kzz + kzz.T) / 2)
    s = np.maximum(s, 0.0)
    right = v.T @ kzz2
    inner, cross = v.T @ kxx @ v, v.T @ kxx2
    loss = []
    for c in ridges:
        g = right / (s + c)[:, None]
        loss.append(np.sum(g * (inner @ g) - 2 * cross * g) / kzz2.shape[1])
    best = ridges[int(np.argmin(loss))]
    return v @ (right / (s + best)[:, None]), np.array(loss)


def stage2(
    kxx: np.ndarray, weights: np.ndarray, y1: np.ndarray, y2: np.ndarray, ridges: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """`(coef [n], loss [R])` of the best xi: (W W' + m xi K_XX) coef = W y2 with W = K_XX weights `[n, m]`.

    kxx `[n, n]`, y1 `[n]`, y2 `[m]`; loss: mean of (y1 - f(x1))^2, of the rows that stage 2 does not fit.
    """
    path = ridge_path(kxx, weights @ weights.T, weights @ y2)
    coefs = [path(len(y2) * xi) for xi in ridges]
    loss = np.array([np.mean((y1 - kxx @ coef) ** 2) for coef in coefs])
    return coefs[int(np.argmin(loss))], loss


def kiv(
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    *,
    variant: Variant,
    ridges: Sequence[float] | None = None,
    split: float = 0.5,
    seed: int | None = None,
) -> Kiv:
    """KIV of the variant; stage 1 gets the share `split` of the rows, the first ones or, with a seed, random.

    ridges: values of lam and xi to try, those of the variant by default. ValueError for an unknown variant,
    or a share that leaves a stage without rows.

    Equation: singh2019kiv [two stages]
    """
    if variant not in ("matlab", "port"):
        raise ValueError(f"variant: {variant!r} is neither 'matlab' nor 'port'")
    ridges = RIDGES[variant] if ridges is None else ridges
    n = round(split * len(y))
    if not 2 <= n < len(y):
        raise ValueError(f"split: {split} of {len(y)} rows leaves a stage empty; choose about 0.5")
    order = np.arange(len(y)) if seed is None else np.random.default_rng(seed).permutation(len(y))
    first, second = order[:n], order[n:]
    if variant == "matlab":
        scale_x, scale_z = product_widths(x) * np.sqrt(2), product_widths(z) * np.sqrt(2)
        factor = 1.0
    else:
        scale_x = np.sqrt(median_square_distance(x[first]))
        scale_z = np.sqrt(median_square_distance(z[first]))
        factor = float(n)
    x, z = x / scale_x, z / scale_z
    kxx = rbf(x[first], x[first], 1.0)
    weights, loss1 = stage1(
        kxx,
        rbf(x[first], x[second], 1.0),
        rbf(z[first], z[first], 1.0),
        rbf(z[first], z[second], 1.0),
        [factor * r for r in ridges],
    )
    coef, loss2 = stage2(kxx, weights, y[first], y[second], ridges)
    lam, xi = ridges[int(np.argmin(loss1))], ridges[int(np.argmin(loss2))]
    centres = x[first]
    return Kiv(lambda at: rbf(at / scale_x, centres, 1.0) @ coef, lam, xi, loss1, loss2)
