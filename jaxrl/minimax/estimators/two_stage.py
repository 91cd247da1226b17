"""Least squares and two-stage least squares, linear and polynomial, in float64 on the host.

The units of the data do not matter. Every estimator raises `UsageError` as `checks.observed`, and where the
coefficients are not identified.

Legend: x `[n, dx]` treatments, z `[n, dz]` instruments, y `[n]` outcomes, as in `designs.record.Sample`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, check_value
from jaxrl.minimax.estimators.checks import (
    Predictor,
    candidates,
    full_rank,
    observed,
    predictor,
    smallest,
)


def ols(x: np.ndarray, y: np.ndarray) -> Predictor:
    """Regression of y on x with an intercept; endogeneity is ignored."""
    x, _, y = observed(x, x, y)
    full_rank("x", polynomial(x, 1), "drop columns that are sums of others, or give more rows")
    coef = _solve(polynomial(x, 1), y)
    return predictor(lambda at: polynomial(at, 1) @ coef, x.shape[1])


def tsls(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> Predictor:
    """Two-stage least squares, linear in x, with an intercept in both stages."""
    return poly2sls(x, z, y, degree=1, instrument_degree=1)


def poly2sls(
    x: np.ndarray, z: np.ndarray, y: np.ndarray, *, degree: int, instrument_degree: int | None = None
) -> Predictor:
    """Two-stage least squares in monomials: features of x are projected on those of z, then y on the result.

    instrument_degree: `degree` by default. Raises `UsageError` where instruments have fewer monomials than
    treatments, or where the projected monomials are linearly dependent.
    """
    x, z, y = observed(x, z, y)
    features = polynomial(x, degree)
    instruments = polynomial(z, degree if instrument_degree is None else instrument_degree)
    if instruments.shape[1] < features.shape[1]:
        raise UsageError(
            f"instrument_degree: {instruments.shape[1]} monomials of z cannot identify"
            f" {features.shape[1]} of x; raise it"
        )
    full_rank("x", features, "lower the degree, a treatment of few values has few independent monomials")
    projected = instruments @ _solve(instruments, features)
    full_rank("z", projected, "lower the degree, or give instruments that move every treatment")
    coef = _solve(projected, y)
    return predictor(lambda at: polynomial(at, degree) @ coef, x.shape[1])


def poly2sls_plugin(
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    *,
    degrees: Sequence[int] = (1, 2, 3),
    ridges: Sequence[float] = tuple(10.0**k for k in range(-5, 6)),
    folds: int = 5,
) -> Predictor:
    """The "forbidden regression": predicts x from z, then regresses y on monomials of the prediction.

    Both stages choose degree and ridge by the mean R^2 of `folds` consecutive folds. Not consistent beyond
    degree 1, since E[x^2 | z] is not E[x | z]^2; the released DeepGMM and MMR-IV call this Poly2SLS.

    Raises `NumericalFailure` where no setting has a finite R^2, as with outcomes that are constant in a fold.
    """
    x, z, y = observed(x, z, y)
    ridges = candidates("ridges", ridges)
    check_value("folds", folds, Annotated[int, Range(2, len(y))])
    fitted = _ridge_cv(z, x, degrees, ridges, folds)(z)
    second = _ridge_cv(fitted, y[:, None], degrees, ridges, folds)
    return predictor(lambda at: second(at)[:, 0], x.shape[1])


def _ridge_cv(
    a: np.ndarray, b: np.ndarray, degrees: Sequence[int], ridges: Sequence[float], folds: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Polynomial ridge regression of `b [n, k]` on `a [n, d]` with the best of the settings."""
    parts = np.array_split(np.arange(len(a)), folds)
    settings = list(itertools.product(degrees, ridges))
    scores = np.zeros(len(settings))
    for i, (degree, ridge) in enumerate(settings):
        for test in parts:
            train = np.setdiff1d(np.arange(len(a)), test)
            error = b[test] - _ridge(a[train], b[train], degree, ridge)(a[test])
            spread = np.square(b[test] - b[test].mean(0)).sum(0)
            with np.errstate(divide="ignore", invalid="ignore"):
                scores[i] += np.mean(1 - np.square(error).sum(0) / spread) / folds
    return _ridge(a, b, *settings[smallest("degrees, ridges", -scores)])


def _ridge(a: np.ndarray, b: np.ndarray, degree: int, ridge: float) -> Callable[[np.ndarray], np.ndarray]:
    """Polynomial ridge regression of `b [n, k]` on `a [n, d]`, whose intercept is not penalised."""
    features = polynomial(a, degree)[:, 1:]
    centre = features.mean(0)
    gram = (features - centre).T @ (features - centre) + ridge * np.eye(features.shape[1])
    coef = np.linalg.solve(gram, (features - centre).T @ (b - b.mean(0)))
    return lambda at: (polynomial(at, degree)[:, 1:] - centre) @ coef + b.mean(0)


def polynomial(a: np.ndarray, degree: int) -> np.ndarray:
    """Monomials of the columns of `a [n, d]` up to `degree`, constant first, `[n, m]`; UsageError below 1."""
    if degree < 1:
        raise UsageError(f"degree: must be >= 1, got {degree}")
    columns = [np.ones(len(a))]
    for k in range(1, degree + 1):
        for index in itertools.combinations_with_replacement(range(a.shape[1]), k):
            columns.append(np.prod(a[:, list(index)], axis=1))
    return np.stack(columns, -1)


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(a, b, rcond=None)[0]
