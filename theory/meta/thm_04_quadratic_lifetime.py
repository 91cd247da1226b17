"""The best step sizes of a lifetime of N updates are inverse roots of a Christoffel-Darboux kernel.

Statement. N updates with steps a_n leave the residual of mode lambda_i at the factor q(lambda_i), q(x) =
prod_n (1 - a_n x), so that the loss F_N = sum_i w_i q(lambda_i)^2 is smallest over all polynomials of
degree N with q(0) = 1. The minimum is 1 / K_N(0, 0), K_N the kernel of the weights w, at q = K_N(0, .) /
K_N(0, 0), whose roots are real and positive: the best steps, in any order.
(Extremal property of the kernel polynomials; Jackson et al. 2024 show horizon dependence by experiment.)

Check. Modes 0.1 .. 1 of weight 1/10, N = 1, 2, 4, 8: the loss of the steps against the kernel, both against
numbers of six digits and more, no better loss among 2000 random steps each; the best constant step and the
steps that are greedy are worse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from theory.exact.result import Result
from theory.meta.quadratic import MODES, WEIGHTS, best_lifetime, gauss_nodes, lifetime_loss, truncated

DIGITS = 1e-6  # relative error of what the table prints with seven digits


class Row(NamedTuple):
    """Known values of a horizon: optimum, some of the best steps by rank, best constant step, greedy loss."""

    loss: float
    steps: dict[int, float]
    constant: tuple[float, float]
    greedy: float


def instance() -> dict[int, Row]:
    """Known values by horizon."""
    one = 3 / 14
    return {
        1: Row(one, {0: 10 / 7}, (10 / 7, one), one),
        2: Row(0.0722891566, {0: 1.1302567, 1: 2.6649240}, (1.52934, 0.0959716710), 0.0940233236),
        4: Row(
            0.0091603053,
            {0: 1.0210296, 1: 1.3309395, 2: 2.2666672, 3: 6.1956130},
            (1.63080, 0.0315483817),
            0.0307425826,
        ),
        8: Row(1.0826260177e-5, {0: 1.0000750, 7: 9.9486595}, (1.71298, 0.0055214552), 0.0053090171),
    }


def check(weights: np.ndarray = WEIGHTS * MODES) -> Result:
    """Relative errors of the table, and by how much random steps beat the optimum.

    weights: whose nodes of Gauss are taken for the roots of the kernel.
    """
    errors, rng = [], np.random.default_rng(0)
    for N, row in instance().items():
        loss, steps = best_lifetime(N).loss, np.sort(1 / gauss_nodes(weights, N))
        constant = minimize_scalar(
            lambda a, N=N: lifetime_loss(np.full(N, a)),
            bounds=(0.5, 5),
            method="bounded",
            options={"xatol": 1e-9},
        )
        errors += [lifetime_loss(steps) / loss - 1, loss / row.loss - 1, constant.fun / row.constant[1] - 1]
        errors += [(constant.x - row.constant[0]) / 10]  # printed with five decimals
        errors += [steps[i] / a - 1 for i, a in row.steps.items()]
        errors += [lifetime_loss(truncated(1, N)) / row.greedy - 1]
        tried = [lifetime_loss(np.exp(rng.uniform(-0.2, 2.4, N))) for _ in range(2000)]
        errors += [max(0.0, 1 - min(tried) / loss)]
    measured = float(np.abs(errors).max())
    return Result(measured, DIGITS, measured <= DIGITS)


def broken() -> Result:
    """Roots of the orthogonal polynomial of the weights, in place of those of the kernel."""
    return check(WEIGHTS)
