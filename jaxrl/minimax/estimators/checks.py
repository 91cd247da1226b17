"""Checks that every instrumental estimator makes: of its data, of its settings, of what it selects.

Legend: `n` observations, `dx` treatments, `dz` instruments, `M` points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import NumericalFailure, UsageError

Predictor = Callable[[Any], np.ndarray]
"""f at treatments `[M, dx]`, float64 `[M]`; raises `UsageError` for other shapes and values not finite."""


class Observed(NamedTuple):
    """Checked float64 data: treatments x `[n, dx]`, instruments z `[n, dz]`, outcomes y `[n]`."""

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray


def observed(x: Any, z: Any, y: Any) -> Observed:
    """Data of an instrumental regression as float64 arrays; lists will do.

    Raises `UsageError` unless x and z are `[n, d]` and y is `[n]` with one and the same n >= 2, every number
    is finite, and every column of x and z varies: a constant one identifies nothing.
    """
    found = Observed(table("x", x), table("z", z), _numbers("y", y))
    if found.y.ndim != 1:
        hint = "; use y[:, 0]" if found.y.ndim == 2 and found.y.shape[1] == 1 else ""
        raise UsageError(f"y: must have shape [n], got {found.y.shape}{hint}")
    lengths = [len(a) for a in found]
    if len(set(lengths)) > 1 or lengths[0] < 2:
        raise UsageError(f"x, z, y: need the same number of rows, two at least; got {lengths}")
    for name, a in (("x", found.x), ("z", found.z)):
        constant = np.flatnonzero(np.ptp(a, axis=0) == 0)
        if len(constant):
            raise UsageError(f"{name}: column {constant[0]} is constant and identifies nothing; drop it")
    return found


def table(name: str, a: Any, columns: int | None = None) -> np.ndarray:
    """Finite float64 `[n, d]` with `columns` columns, or any number from one on.

    Raises `UsageError` that calls the array `name`.
    """
    a = _numbers(name, a)
    if a.ndim != 2 or a.shape[1] < 1 or (columns is not None and a.shape[1] != columns):
        hint = f"; use {name}[:, None]" if a.ndim == 1 else ""
        raise UsageError(f"{name}: must have shape [n, {columns or 'columns'}], got {a.shape}{hint}")
    return a


def single(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Checked data as float32; raises `UsageError` where a number is too large for it."""
    with np.errstate(over="ignore"):
        cast = [a.astype(np.float32) for a in (x, z, y)]
    for name, a in zip(("x", "z", "y"), cast, strict=True):
        if not np.all(np.isfinite(a)):
            raise UsageError(f"{name}: a number is too large for float32; standardise the data")
    return cast


def predictor(function: Callable[[np.ndarray], np.ndarray], columns: int) -> Predictor:
    """`function` of treatments `[M, columns]`, with a check of what it is given."""
    return lambda at: function(table("at", at, columns))


def positive(**settings: Any) -> None:
    """Raises `UsageError` for the first setting that is not a finite number > 0, or a list of such."""
    for name, value in settings.items():
        a = _numbers(name, value)
        if a.size < 1 or not np.all(a > 0):
            raise UsageError(f"{name}: must be > 0, got {value!r}")


def smallest(name: str, loss: Any) -> int:
    """Flat index of the least finite entry of `loss`, of any shape; others are never selected.

    Raises `NumericalFailure` where no entry is finite.
    """
    loss = np.ravel(np.asarray(loss, np.float64))
    finite = np.isfinite(loss)
    if not finite.any():
        raise NumericalFailure(
            f"{name}: none of the {loss.size} candidates has a finite score; standardise the data"
            " or try other values"
        )
    return int(np.argmin(np.where(finite, loss, np.inf)))


def median_of(name: str, distances: np.ndarray) -> float:
    """The median of distances, which sets a kernel's width.

    Raises `UsageError` where it is zero, as where most pairs of a discrete variable `name` are equal.
    """
    width = float(np.median(distances))
    if not width > 0:
        raise UsageError(
            f"{name}: the median distance is 0, so a kernel has no width (more than half of the pairs are "
            "equal); use an estimator without widths, such as two-stage least squares"
        )
    return width


def full_rank(name: str, features: np.ndarray, advice: str) -> None:
    """Raises `UsageError` unless the columns of `features [n, m]` are linearly independent to rounding."""
    size = np.linalg.norm(features, axis=0)
    rank = np.linalg.matrix_rank(features / np.where(size > 0, size, 1.0))
    if rank < features.shape[1]:
        raise UsageError(
            f"{name}: {features.shape[1]} coefficients are not identified by terms of rank {rank}; {advice}"
        )


def _numbers(name: str, a: Any) -> np.ndarray:
    try:
        if np.asarray(a).dtype.kind not in "biufO":
            raise TypeError("text, dates or complex numbers")
        a = np.asarray(a, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: must be an array of numbers, all rows of one length") from error
    bad = np.argwhere(~np.isfinite(a))
    if len(bad):
        place = tuple(bad[0].tolist())
        raise UsageError(f"{name}: {a[place]} at index {place}; every number must be finite")
    return a


def candidates(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Values of a hyper-parameter that are tried, as floats; `UsageError` unless all are finite and > 0."""
    positive(**{name: values})
    return tuple(float(v) for v in values)
