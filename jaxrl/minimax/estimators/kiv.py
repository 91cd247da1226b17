"""Kernel instrumental variable regression: kernel ridge regression twice, on two halves of the data.

Stage 1 learns the conditional mean embedding of treatments on the first half, stage 2 regresses the outcomes
of the second half on it. Two released codes disagree in details, and both are here. A third variant,
`product`, is that of MATLAB with a product kernel over the columns of z as well.

| | `matlab` (1906.00232) | `port` (DFIV's, 2010.07154) |
|---|---|---|
| kernel of x | product over columns of exp(-d^2 / (2 v^2)) | exp(-|d|^2 / s) |
| kernel of z | exp(-|d|^2 / (2 v^2)), one norm and one width | exp(-|d|^2 / s) |
| width | v, median of |d| in the whole sample | s, median of |d|^2 within stage 1 |
| stage 1 | K_ZZ + c I, c = lam | c = n lam |
| lam, xi | minimise the stage losses over 50 values in 10^[-6, 2] | over 50 values in 10^[-10, -2] |

All medians run over all pairs of rows, those of a row with itself included. Widths are medians of the data,
so x and z may have any units; outcomes should be centred, because f has no intercept.

Difference: the MATLAB code minimises by `fminunc` from a start of its own, here over a grid, as in the port.

Legend: x `[n, dx]`, z `[n, dz]`, y `[n]`; stages of `n` and `m` rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.minimax.estimators.checks import (
    Predictor,
    candidates,
    median_of,
    observed,
    predictor,
    smallest,
)
from jaxrl.minimax.estimators.kernels import rbf, ridge_path, square_distances

Variant = Literal["matlab", "product", "port"]
_MATLAB = tuple(np.logspace(2, -6, 50).tolist())
RIDGES: dict[str, tuple[float, ...]] = {
    "matlab": _MATLAB,
    "product": _MATLAB,
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


def scales(variant: Variant, x: np.ndarray, z: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """What x `[N, dx]` and z `[N, dz]` are divided by, `[dx]` and `[dz]`, so that kernels are exp(-|d|^2).

    n: rows of stage 1, the first ones. Raises `UsageError` where a median distance is zero.
    """
    if variant == "port":
        squares = (median_of(name, square_distances(a[:n], a[:n])) for name, a in (("x", x), ("z", z)))
        scale_x, scale_z = (np.sqrt(square) for square in squares)
    else:
        scale_x = _product(x, "x")
        scale_z = _product(z, "z") if variant == "product" else _joint(z, "z")
    return np.broadcast_to(scale_x, x.shape[1]), np.broadcast_to(scale_z, z.shape[1])


def _joint(a: np.ndarray, name: str) -> float:
    return math.sqrt(2) * median_of(name, np.sqrt(square_distances(a, a)))


def _product(a: np.ndarray, name: str) -> np.ndarray:
    return np.array([_joint(column[:, None], name) for column in a.T])


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
    best = ridges[smallest("ridges of stage 1", loss)]
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
    return coefs[smallest("ridges of stage 2", loss)], loss


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

    ridges: values of lam and xi to try, those of the variant by default. Raises `UsageError` as
    `checks.observed`, for an unknown variant, a share that leaves a stage without rows, or a median distance
    of zero, and `NumericalFailure` where no ridge has a finite loss.

    Equation: singh2019kiv [two stages]
    """
    x, z, y = observed(x, z, y)
    if variant not in get_args(Variant):
        raise UsageError(f"variant: {variant!r} is none of {', '.join(get_args(Variant))}")
    ridges = candidates("ridges", RIDGES[variant] if ridges is None else ridges)
    n = round(split * len(y))
    if not 2 <= n < len(y):
        raise UsageError(f"split: {split} of {len(y)} rows leaves a stage empty; choose about 0.5")
    order = np.arange(len(y)) if seed is None else np.random.default_rng(seed).permutation(len(y))
    first, second = order[:n], order[n:]
    scale_x, scale_z = scales(variant, x[order], z[order], n)
    factor = float(n) if variant == "port" else 1.0
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
    lam, xi = ridges[smallest("ridges", loss1)], ridges[smallest("ridges", loss2)]
    centres = x[first]
    predict = predictor(lambda at: rbf(at / scale_x, centres, 1.0) @ coef, x.shape[1])
    return Kiv(predict, lam, xi, loss1, loss2)
