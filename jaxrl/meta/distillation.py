"""Distillation of a drift into a closed form in (l, A, n/N) by least squares.

The closed form is `drift.ta_dpo`: for each sign of the advantage a polynomial in n/N of the eight features of
a drift network, of the two saturations of DPO and of the clip of PPO. Its coefficients c minimise

    sum_i w_i ( relu(x_i . c - xi) - f_i )^2

over a grid of log ratios, advantages and progress, where f_i is the drift that is distilled. The first
solution is least squares on the points at which f_i is positive, which is exact for a drift in the span of
the terms. Gauss-Newton steps, which are least squares on the points at which the closed form is positive,
then lower the whole sum, halved where they do not. The scales alpha and beta are the best ones of a list.

The result meets the conditions of mirror learning whatever its coefficients are; `certificates.check_drift`
says how far its dead zone is proved.

Legend: `n` points, `m` terms.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, check_value
from jaxrl.core.types import PyTree
from jaxrl.meta.certificates import Grid, grid
from jaxrl.meta.drift import TERMS, XI, Parts, ta_dpo, terms
from jaxrl.meta.objective import Objective, mask_of

RATIOS = np.exp(np.linspace(-1.4, 1.4, 43))
ADVANTAGES = np.linspace(-3.0, 3.0, 17)
PROGRESS = (0.0, 0.325, 0.65, 0.975)
ALPHAS, BETAS = (1.0, 2.0, 4.0), (0.6, 1.2, 2.4)
ROUNDS = 30  # of Gauss-Newton
RCOND = 1e-12  # smallest singular value of columns of length 1, in units of the largest


class Distilled(NamedTuple):
    """A closed form and how well it fits.

    objective, phi: the rule and its parameters, for `drift.drift(objective, phi)`. unexplained: the weighted
    sum of squares of what is left, as a share of that of the drift itself; 0 for a drift that is 0.
    """

    objective: Objective
    phi: PyTree
    unexplained: float


def distil(
    objective: Objective,
    phi: PyTree,
    *,
    degree: int | None = None,
    horizon: float = 40.0,
    mask: tuple[float, ...] | None = None,
    spread: float = 0.5,
    progress: tuple[float, ...] = PROGRESS,
    ratios: np.ndarray = RATIOS,
    advantages: np.ndarray = ADVANTAGES,
) -> Distilled:
    """The closed form nearest to a drift with parameters `phi`, at the horizon it is told.

    degree: of the polynomials in n/N; None is 2 for a rule with time inputs, and 0 for a blind one. mask:
    time inputs that the drift has; None for those of the rule. spread: standard deviation of the normal
    distribution of log ratios that weighs the grid; advantages are weighed by the standard normal one.
    progress, ratios, advantages: the grid.

    Raises:
        UsageError: the rule is of another slot, or has a schedule, which a drift cannot hold; or the drift is
            positive at too few points of the grid to tell the terms apart.
    """
    if objective.slot != "drift":
        raise UsageError(f'objective: {objective.name} is of the slot "{objective.slot}", not of "drift"')
    if objective.schedule is not None:
        raise UsageError(f"objective: {objective.name} has a schedule, which a drift cannot hold; evolve LPO")
    spread = check_value("spread", spread, Positive)
    degree = (2 if objective.inputs else 0) if degree is None else degree
    options = {"horizon": horizon, "progress": progress, "ratios": ratios, "advantages": advantages}
    found = grid(objective, phi, mask=mask_of(objective.inputs) if mask is None else mask, **options)
    rule = ta_dpo(degree)
    weight = np.sqrt(np.exp(-0.5 * (np.log(found.ratio) / spread) ** 2))[:, None] * np.exp(
        -0.25 * found.advantage**2
    )
    made = rule.init(jax.random.key(0))
    tried = [_fit(found, weight, degree, np.array(scales)) for scales in itertools.product(ALPHAS, BETAS)]
    best = min(tried, key=lambda fit: fit.loss)
    total = float(np.square(weight * found.f).sum())
    phi = made | {"coefficients": jnp.asarray(best.coefficients, jnp.float32)}
    phi["scales"] = jnp.asarray(best.scales, jnp.float32)
    return Distilled(rule, phi, best.loss / total if total else 0.0)


class _Fit(NamedTuple):
    """Coefficients [2, m, degree + 1] at scales (alpha, beta), and their loss."""

    coefficients: np.ndarray
    scales: np.ndarray
    loss: float


def _fit(found: Grid, weight: np.ndarray, degree: int, scales: np.ndarray) -> _Fit:
    """The best coefficients at given scales; weight: roots of the weights, float[R, A]."""
    r, a = (jnp.asarray(x, jnp.float32) for x in np.meshgrid(found.ratio, found.advantage, indexing="ij"))
    x = np.asarray(terms(r, jnp.log(r), a, jnp.asarray(scales, jnp.float32), Parts().clip), np.float64)
    powers = found.progress[:, None] ** np.arange(degree + 1)
    X = np.einsum("rat,pk->ratpk", x, powers)
    f, root = np.moveaxis(found.f, 0, -1), np.broadcast_to(weight[..., None], (*r.shape, len(powers)))
    coefficients, loss = np.zeros((2, len(TERMS), degree + 1)), 0.0
    for sign, rows in enumerate((found.advantage >= 0, found.advantage < 0)):
        design = X[:, rows].transpose(0, 1, 3, 2, 4).reshape(-1, len(TERMS) * (degree + 1))
        own, error = regression(design, f[:, rows].ravel(), root[:, rows].ravel(), XI)
        coefficients[sign] = own.reshape(len(TERMS), degree + 1)
        loss += error
    return _Fit(coefficients, scales, loss)


def regression(X: np.ndarray, y: np.ndarray, root: np.ndarray, xi: float) -> tuple[np.ndarray, float]:
    """`(c float[m], loss)`: c that minimises the sum of (root (relu(X c - xi) - y))^2 near where it starts.

    X: float[n, m]; y: float[n], not negative; root: roots of weights, float[n]. c is 0 where y is 0
    everywhere.

    Raises:
        UsageError: the points at which y is positive do not tell the columns apart.
    """

    def solved(rows: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, int]:
        weighted = X[rows] * root[rows, None]
        sizes = np.maximum(np.linalg.norm(weighted, axis=0), np.finfo(float).tiny)
        c, _, rank, _ = np.linalg.lstsq(weighted / sizes, target[rows] * root[rows], rcond=RCOND)
        return c / sizes, int(rank)

    def loss(c: np.ndarray) -> float:
        return float(np.square(root * (np.maximum(X @ c - xi, 0.0) - y)).sum())

    positive = y > 0
    if not positive.any():
        return np.zeros(X.shape[1]), 0.0
    c, rank = solved(positive, y + xi)
    if rank < X.shape[1]:
        raise UsageError(
            f"distil: the {positive.sum()} points at which the drift is positive tell {rank} of"
            f" {X.shape[1]} terms apart; take a lower degree, or a finer and wider grid"
        )
    least = loss(c)
    for _ in range(ROUNDS):
        residual = y + xi - X @ c
        direction, _ = solved(X @ c > xi, residual)
        steps = [c + direction / 2**k for k in range(12)]
        better = next((step for step in steps if loss(step) < (1 - 1e-9) * least), None)
        if better is None:
            break
        c, least = better, loss(better)
    return c, least
