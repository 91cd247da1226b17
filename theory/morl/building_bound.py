"""Upper bound of the building's comfort and cost, by a linear programme.

Without noise the temperatures are affine in the powers, and comfort and cost are concave, so that the best
sequence of powers solves a linear programme. No policy exceeds its value. Ramping is left out.

Legend: `T` temperatures and `a = a_plus - a_minus` powers of the zones in every hour of an episode; `u` the
distances of the temperatures from the target.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from jaxrl.core.errors import NumericalFailure
from jaxrl.envs.control.building import Building


class Bound(NamedTuple):
    """Solution of the linear programme.

    value: float, the best w . (comfort, cost); returns: float64[2], comfort and cost of it; powers:
    float64[horizon, 23].
    """

    value: float
    returns: np.ndarray
    powers: np.ndarray


def bound(weight: float, horizon: int = 480, k: int = 1, limit: float | None = 1.0) -> Bound:
    """The best `weight` comfort + (1 - `weight`) cost of `Building(3)` over `horizon` hours from hour `k`.

    limit: largest absolute power, None for none. Temperatures stay in [0, 40]. A horizon of 48 takes a second
    of a core, one of 480 half a minute. Raises `NumericalFailure` where the solver finds no optimum.
    """
    with jax.enable_x64(True):
        p = Building(3).default_params()
    A, B, outdoor, irradiance, ground, price = (
        np.asarray(x, np.float64) for x in (p.A_d, p.B_d, p.outdoor, p.irradiance, p.ground, p.price)
    )
    zones, (first, target) = len(A), (float(p.start), float(p.target))
    hours = k + np.arange(horizon)
    outside = np.outer(ground[hours % 12], B[:, 0]) + np.outer(outdoor[hours], B[:, 1])
    outside += np.outer(irradiance[hours], B[:, -1])
    outside[0] += A @ np.full(zones, first)

    step, eye = sparse.identity(horizon), sparse.identity(horizon * zones)
    dynamics = eye - sparse.kron(sparse.eye(horizon, k=-1), A)
    heating = sparse.kron(step, B[:, 2:-1])
    none = sparse.csr_matrix(eye.shape)
    equal = sparse.hstack([dynamics, none, -heating, heating])
    # u >= T - target and u >= target - T
    apart = sparse.vstack([sparse.hstack([eye, -eye, none, none]), sparse.hstack([-eye, -eye, none, none])])
    n = horizon * zones
    cost = np.repeat(price[hours % 24] / price.max(), zones)
    objective = np.concatenate([np.zeros(n), np.full(n, weight / 20), np.tile((1 - weight) * cost, 2)])
    done = linprog(
        objective,
        A_ub=apart.tocsr(),
        b_ub=np.concatenate([np.full(n, target), np.full(n, -target)]),
        A_eq=equal.tocsr(),
        b_eq=outside.ravel(),
        bounds=[(0, 40)] * n + [(0, None)] * n + [(0, limit)] * (2 * n),
        method="highs-ipm",
    )
    if not done.success:
        raise NumericalFailure(f"bound: the solver found no optimum ({done.message}); use a shorter horizon")
    _, u, plus, minus = np.split(done.x, 4)
    whole = zones * horizon
    returns = np.array([whole - u.sum() / 20, whole - cost @ (plus + minus)])
    return Bound(whole - done.fun, returns, (plus - minus).reshape(horizon, zones))
