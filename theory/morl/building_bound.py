"""Upper bound of the building's utility for a preference, by a linear programme.

Without noise the temperatures are affine in the powers, and comfort, cost and energy are concave, so that the
best sequence of powers solves a linear programme. Ramping counts with its ceiling. No policy exceeds the
value in an episode from hour `k`.

Legend: `T` temperatures and `a = a_plus - a_minus` powers of the zones in every hour of an episode; `u` the
distances of the temperatures from the target; `m` = 3 or 9 objectives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.envs.control.building import GROUPS, Building, BuildingParams

_ZONES = sum(GROUPS)
_GROUP = np.repeat(np.arange(3), GROUPS)
_QUIET = 2  # hours at the start that pay nothing for ramping
_LEAST = 1e-3  # weight of energy in the linear programme of nine objectives: the solver fails on free powers


class Bound(NamedTuple):
    """Solution of the linear programme.

    value: float, no policy has a larger w . G; returns: float64[m] of the solution, where ramping is at its
    ceiling; powers: float64[horizon, 23].
    """

    value: float
    returns: np.ndarray
    powers: np.ndarray


def bound(weights: Any, horizon: int = 480, k: int = 1, limit: float | None = 1.0) -> Bound:
    """The best w . G of `Building(m)` over `horizon` hours from hour `k`, for `weights` float[m], all >= 0.

    limit: largest absolute power, None for none. Temperatures stay in [0, 40]. A horizon of 48 takes a second
    of a core, one of 480 half a minute; without a weight on comfort nothing is solved, as no power is best.
    With nine objectives and no weight on some energy it has weight 0.001, and what that is worth at least is
    taken off again, which leaves a bound that is at most 0.001 x 0.05 x 23 per hour too high.
    Raises `UsageError` for another number of weights, `NumericalFailure` where the solver finds no optimum.
    """
    w = np.asarray(weights, np.float64)
    if w.shape not in ((3,), (9,)) or (w < 0).any():
        raise UsageError(f"weights: must be 3 or 9 numbers >= 0, got {w.tolist()}")
    with jax.enable_x64(True):
        p = Building(3).default_params()
    hours = k + np.arange(horizon)
    if len(w) == 3:
        price = np.asarray(p.price, np.float64)
        cost = np.repeat(price[hours % 24, None] / price.max(), _ZONES, 1)
        comfort, spent = np.full(_ZONES, w[0]), w[1]
    else:
        cost, comfort = np.full((horizon, _ZONES), 1 / 20), w[:3][_GROUP]
        spent = np.maximum(w[3:6], _LEAST if limit == 1 else 0)[_GROUP]
    powers, u = np.zeros((horizon, _ZONES)), np.zeros((horizon, _ZONES))
    if comfort.any():
        powers, u = _best(comfort / 20, spent * cost, p, hours, limit)
    sums = np.stack([u.sum(0) / 20, (cost * np.abs(powers)).sum(0)])
    sizes = np.asarray(GROUPS, float)
    if len(w) == 3:
        ceiling = np.array([_ZONES * horizon, _ZONES * horizon, _ZONES * max(0, horizon - _QUIET)])
        returns = ceiling - np.r_[sums.sum(-1), 0]
    else:
        ceiling = np.r_[sizes * horizon, sizes * horizon, sizes * max(0, horizon - _QUIET)]
        per_group = np.stack([sums[:, g == _GROUP].sum(-1) for g in range(3)], 1)
        returns = ceiling - np.r_[per_group.ravel(), np.zeros(3)]
    if len(w) == 3 or not comfort.any():
        return Bound(float(w @ returns), returns, powers)
    extra = spent[[0, 9, 16]] - w[3:6]
    # energy pays 1 - 1/20 per zone and hour at least, where powers are at most 1
    above = float((w + np.r_[np.zeros(3), extra, np.zeros(3)]) @ returns - extra @ sizes * 0.95 * horizon)
    return Bound(min(above, float(w @ ceiling)), returns, powers)


def _best(
    comfort: np.ndarray, cost: np.ndarray, p: BuildingParams, hours: np.ndarray, limit: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Powers and distances float64[horizon, 23] of the least sum of comfort u + cost |a|.

    comfort: float64[23], price of a degree; cost: float64[horizon, 23], price of power.
    """
    A, B, outdoor, irradiance, ground = (
        np.asarray(x, np.float64) for x in (p.A_d, p.B_d, p.outdoor, p.irradiance, p.ground)
    )
    horizon, (first, target) = len(hours), (float(p.start), float(p.target))
    outside = np.outer(ground[hours % 12], B[:, 0]) + np.outer(outdoor[hours], B[:, 1])
    outside += np.outer(irradiance[hours], B[:, -1])
    outside[0] += A @ np.full(_ZONES, first)

    n = horizon * _ZONES
    step, eye = sparse.identity(horizon), sparse.identity(n)
    dynamics = eye - sparse.kron(sparse.eye(horizon, k=-1), A)
    heating = sparse.kron(step, B[:, 2:-1])
    none = sparse.csr_matrix(eye.shape)
    equal = sparse.hstack([dynamics, none, -heating, heating])
    # u >= T - target and u >= target - T
    apart = sparse.vstack([sparse.hstack([eye, -eye, none, none]), sparse.hstack([-eye, -eye, none, none])])
    done = linprog(
        np.concatenate([np.zeros(n), np.tile(comfort, horizon), np.tile(cost.ravel(), 2)]),
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
    return (plus - minus).reshape(horizon, _ZONES), u.reshape(horizon, _ZONES)
