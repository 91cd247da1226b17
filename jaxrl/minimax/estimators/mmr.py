"""Maximum moment restriction (MMR-IV): a kernel on instruments turns all conditional moments into one number.

    min_f  (y - f)' Kz (y - f) / n^2 + lam |f|_H^2,     f = L a,   a = (Kz L / n^2 + lam I)^-1 Kz y / n^2

Kz is the average of Gaussian kernels of three widths; with Kz ~ n^2 B B' (exactly, or by landmarks) every
quantity lives in the rank of B. Length scale of L and lam minimise the leave-M-out error, computed here from
the exact solution without the left-out rows.

Widths are medians of the data, so treatments and instruments may have any units; columns of one treatment or
instrument should have one scale, and outcomes should be centred, because f has no intercept.

Source: Zhang et al. 2020 (2010.07684), released `MMR_IVs`. Differences: the released criterion
b' K b, b = (I - C K)^-1 (c - y), keeps the products of left-out and kept residuals, ours deletes rows and
columns (on zoo B both choose the same point of the grid); it descends by L-BFGS from a random start and stops
on growing norms, ours searches a grid.

Legend: x `[n, dx]`, z `[n, dz]`, y `[n]`, B `[n, r]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.minimax.estimators.checks import Predictor, candidates, observed, predictor, smallest
from jaxrl.minimax.estimators.kernels import median_distance, rbf, spectral, square_distances

LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Length scales of L that are tried, in units of the median distance of treatments."""
RIDGES = tuple(10.0 ** (-k / 2) for k in range(2, 21))
"""Values of lam that are tried."""


class Mmr(NamedTuple):
    """A fit: `predict` is f; length scale and lam as chosen; loss `[lengths, ridges]`, leave-M-out errors."""

    predict: Predictor
    length: float
    ridge: float
    loss: np.ndarray


def instrument_gram(z: np.ndarray, other: np.ndarray, width: float) -> np.ndarray:
    """Average of exp(-|d|^2 / (2 v^2)) over v = width / 10, width, 10 width, `[n, m]`."""
    distance = square_distances(z, other)
    widths = width * np.array([0.1, 1.0, 10.0])
    return np.mean([np.exp(-distance / (2 * v**2)) for v in widths], axis=0)


def instrument_factor(z: np.ndarray, rank: int | None, seed: int) -> np.ndarray:
    """B with B B' = Kz / n^2, exactly where `rank` is None, else by Nystrom on that many random rows of z.

    The width is the median distance of z. UsageError unless 1 <= rank <= n.
    """
    n = len(z)
    width = median_distance("z", z)
    if rank is None:
        s, v = spectral(instrument_gram(z, z, width))
        return v * np.sqrt(s) / n
    if not 1 <= rank <= n:
        raise UsageError(f"rank: must lie between 1 and the {n} observations, got {rank}")
    chosen = np.sort(np.random.default_rng(seed).choice(n, rank, replace=False))
    s, v = spectral(instrument_gram(z[chosen], z[chosen], width))
    return instrument_gram(z, z[chosen], width) @ (v / np.sqrt(s)) / n


def coefficients(gram: np.ndarray, b: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """`a [n] = B (lam I + B' L B)^-1 B' y` for the Gram matrix `gram [n, n]` of treatments.

    Equation: zhang2020mmr [closed form]
    """
    return b @ np.linalg.solve(ridge * np.eye(b.shape[1]) + b.T @ gram @ b, b.T @ y)


def leave_out_losses(
    gram: np.ndarray, b: np.ndarray, y: np.ndarray, ridges: Sequence[float], blocks: np.ndarray
) -> np.ndarray:
    """Mean over blocks of e' W e, `[len(ridges)]`, e the residual of rows fitted without them, W = B B'.

    blocks: int `[k, M]`, disjoint rows to leave out together. Without rows i, G = B' L B changes by
    U S U' with U = [B_i', B' L_i] `[r, 2 M]`, so that each fit costs a solve of size 2 M.
    """
    lb = gram @ b
    values, v = np.linalg.eigh(b.T @ lb)
    values = np.maximum(values, 0.0)
    rows_b, rows_lb, right = b @ v, lb @ v, v.T @ (b.T @ y)  # in the eigenbasis of G
    own_b, own_lb = rows_b[blocks], rows_lb[blocks]  # [k, M, r]
    own_gram = gram[blocks[:, :, None], blocks[:, None, :]]  # [k, M, M]
    size = blocks.shape[1]
    eye = np.broadcast_to(np.eye(size), own_gram.shape)
    change = np.block([[np.zeros_like(own_gram), eye], [eye, own_gram]])  # inverse of S
    u = np.concatenate([own_b, own_lb], axis=1)  # rows of U'
    rest = right - np.einsum("kmr,km->kr", own_b, y[blocks])  # B' y without the block
    cross = own_lb - own_gram @ own_b  # L_{i, rest} B_rest
    losses = []
    for ridge in ridges:
        scaled = u / (values + ridge)
        correction = np.linalg.solve(change - scaled @ u.transpose(0, 2, 1), scaled @ rest[:, :, None])
        solution = rest / (values + ridge) + np.einsum("kar,ka->kr", scaled, correction[:, :, 0])
        error = y[blocks] - np.einsum("kmr,kr->km", cross, solution)
        losses.append(np.mean(np.sum(np.einsum("kmr,km->kr", own_b, error) ** 2, -1)))
    return np.array(losses)


def mmr_iv(
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    *,
    lengths: Sequence[float] = LENGTHS,
    ridges: Sequence[float] = RIDGES,
    leave_out: int = 2,
    rank: int | None = None,
    seed: int = 0,
) -> Mmr:
    """MMR-IV with both hyper-parameters chosen by the leave-`leave_out`-out error.

    rank: landmarks of the instruments' kernel, 300 in the paper's runs with n = 2000; None is exact. Rows
    beyond a multiple of `leave_out` are never left out.

    Raises `UsageError` as `checks.observed`, for a bad rank, too few rows, or a median distance of zero, and
    `NumericalFailure` where no pair of hyper-parameters has a finite error.
    """
    x, z, y = observed(x, z, y)
    lengths, ridges = candidates("lengths", lengths), candidates("ridges", ridges)
    if not 1 <= leave_out < len(y):
        raise UsageError(f"leave_out: must lie between 1 and n - 1 = {len(y) - 1}, got {leave_out}")
    b = instrument_factor(z, rank, seed)
    order = np.random.default_rng(seed).permutation(len(y))
    blocks = order[: len(y) // leave_out * leave_out].reshape(-1, leave_out)
    unit = median_distance("x", x)
    loss = np.zeros((len(lengths), len(ridges)))
    for i, length in enumerate(lengths):
        loss[i] = leave_out_losses(rbf(x, x, 1 / (2 * (length * unit) ** 2)), b, y, ridges, blocks)
    i, j = map(int, np.unravel_index(smallest("lengths, ridges", loss), loss.shape))
    gamma = 1 / (2 * (lengths[i] * unit) ** 2)
    coef = coefficients(rbf(x, x, gamma), b, y, ridges[j])
    return Mmr(predictor(lambda at: rbf(at, x, gamma) @ coef, x.shape[1]), lengths[i], ridges[j], loss)
