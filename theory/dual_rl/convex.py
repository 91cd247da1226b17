"""The one convex programme behind every dual: linear part, plus conjugates of affine residuals.

    minimise  <c, x> + sum_i weight_i f*_i(y_i)   over x,   y = b + A x,   y_i <= f'(inf) for every i,

where f*_i is the conjugate of f over ratios t >= floor_i (all real t for floor None). With ratios t_i that
attain it, stationarity is c + A' (weight t) = 0: the flow equations, if the programme is a dual of RL.

Smooth f: Newton steps, damped where the curvature vanishes, that never leave the domain: a step is cut in
front of the edge, and halved until the objective falls. Where residuals without weight have to stay below a
finite f'(inf), a primal-dual interior point method; the multipliers are the occupancy there. Total variation
is a linear programme.

Legend: `n` variables, `k` residuals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.optimize import linprog

from jaxrl.core.errors import NumericalFailure
from jaxrl.dual_rl.divergences import Divergence, divergence

_TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
_SETTLED = 1e-10  # of the flow residual


class Programme(NamedTuple):
    """A convex programme over y with linear terms.

    c: `[n]`; A: `[k, n]`; b: `[k]`; weight: `[k]` >= 0; floor: `[k]` >= 0, or None for no bound.
    """

    c: np.ndarray
    A: np.ndarray
    b: np.ndarray
    weight: np.ndarray
    floor: np.ndarray | None


class Solution(NamedTuple):
    """Solution of a programme.

    value: float, the minimum; x: float64`[n]`; y: float64`[k]`; measure: float64`[k]`, weight times ratio,
    or the multiplier of y <= f'(inf) where there is no weight; residual: float, largest |c + A' measure|.
    """

    value: float
    x: np.ndarray
    y: np.ndarray
    measure: np.ndarray
    residual: float


def minimise(p: Programme, key: str, x: np.ndarray) -> Solution:
    """The minimum, from `x` strictly inside the domain (any `x` for tv, which needs none).

    Raises `NumericalFailure` where the programme is unbounded below, or Newton's method stands still.
    """
    return _linear(p, divergence(key)) if key == "tv" else _newton(p, divergence(key), x)


def _newton(p: Programme, f: Divergence, x: np.ndarray) -> Solution:
    edge, jets = f.f_prime_inf, _jets(f.key, p.floor is None)
    guarded = (p.weight == 0) & math.isfinite(edge)
    x, price = _interior(p, jets, edge, guarded, x) if guarded.any() else (_descend(p, jets, edge, x), 0.0)
    at = _evaluate(p, jets, x)
    measure, y = at.measure.copy(), at.y
    measure[guarded] = price
    residual = _size(p.c + p.A.T @ measure)
    if not residual <= _SETTLED:
        raise NumericalFailure(f"dual: stands still at a gradient of {residual:.1e}; is it bounded below?")
    return Solution(at.value, x, y, measure, residual)


def _interior(
    p: Programme, jets: Callable, edge: float, guarded: np.ndarray, x: np.ndarray, most: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Primal-dual interior point: `(x, multipliers of y <= edge where there is no weight)`.

    Slacks are variables of their own, because edge - y has no digits left where the constraint binds. The
    start is the optimum with a little weight on every pair.
    """
    B, n, m = p.A[guarded], len(x), int(guarded.sum())
    everywhere = p._replace(weight=np.where(guarded, 1e-3 / m, p.weight))
    x = _descend(everywhere, jets, edge, x)
    price = _evaluate(everywhere, jets, x).measure[guarded]
    at = _evaluate(p, jets, x)
    slack = edge - at.y[guarded]
    for _ in range(most):
        mu = 0.1 * float(slack @ price) / m
        errors = _kkt(at, B, edge - at.y[guarded], slack, price, mu)
        hessian = p.A.T @ (at.curvature[:, None] * p.A)
        hessian += (1e-14 * np.trace(hessian) + 1e-300) * np.eye(n)
        system = np.block([[hessian, B.T], [-price[:, None] * B, np.diag(slack)]])
        step = np.linalg.solve(system, -np.r_[errors[:n], errors[n + m :] - price * errors[n : n + m]])
        dx, d_price = step[:n], step[n:]
        d_slack = -errors[n : n + m] - B @ dx
        used = p.weight > 0
        room = (
            _room(slack, d_slack),
            _room(price, d_price),
            _room(edge - at.y[used], -(p.A @ dx)[used]),
        )
        length = min(1.0, 0.95 * min(room))
        while length > 1e-12:
            new = _evaluate(p, jets, x + length * dx)
            moved = slack + length * d_slack, price + length * d_price
            after = _kkt(new, B, edge - new.y[guarded], *moved, mu)
            if np.linalg.norm(after) <= (1 - 0.01 * length) * np.linalg.norm(errors):
                break
            length /= 2
        else:
            break
        x, at, (slack, price) = x + length * dx, new, moved
        if slack @ price <= 1e-16 and _size(after) <= 1e-13:
            break
    if not slack @ price <= _SETTLED:
        raise NumericalFailure(
            f"dual: complementarity {slack @ price:.1e} is not reached; is it bounded below?"
        )
    return x, np.where(price > slack, price, 0)


def _kkt(
    at: _Point, B: np.ndarray, room: np.ndarray, slack: np.ndarray, price: np.ndarray, mu: float
) -> np.ndarray:
    """`[n + 2 m]`, stationarity, definition of the slacks, complementarity."""
    return np.r_[at.gradient + B.T @ price, slack - room, slack * price - mu]


def _room(value: np.ndarray, change: np.ndarray) -> float:
    """The step that brings the first of positive values to 0."""
    falling = change < 0
    return float((value[falling] / -change[falling]).min(initial=math.inf))


class _Point(NamedTuple):
    value: float
    y: np.ndarray
    measure: np.ndarray
    gradient: np.ndarray
    curvature: np.ndarray


@cache
def _jets(key: str, unclamped: bool) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """Conjugate, ratio and derivative of the ratio in float64, `[k]` each, as one programme."""
    f = divergence(key)

    def jets(y: Any, floor: Any) -> tuple[Any, Any, Any]:
        slope = jax.vmap(jax.grad(f.f_prime_inverse))(y)
        if unclamped:
            return f.f_star(y), f.f_prime_inverse(y), slope
        return f.f_star_above(y, floor), f.w(y, floor), slope * (f.f_prime_inverse(y) >= floor)

    return jax.jit(jets)


def _evaluate(p: Programme, jets: Callable, x: np.ndarray) -> _Point:
    y = p.b + p.A @ x
    floor = np.zeros(len(y)) if p.floor is None else p.floor
    with jax.enable_x64(True):
        star, ratio, slope = (np.asarray(z) for z in jets(y, floor))
    used = p.weight > 0
    measure, bend = p.weight * np.where(used, ratio, 0), p.weight * np.where(used, slope, 0)
    value = p.c @ x + p.weight[used] @ star[used]
    with np.errstate(invalid="ignore"):  # the ratios of a step that is too long overflow
        return _Point(float(value), y, measure, p.c + p.A.T @ measure, bend)


def _descend(p: Programme, jets: Callable, edge: float, x: np.ndarray, most: int = 500) -> np.ndarray:
    """Damped Newton until rounding stops it, or for `most` steps where the minimum lies at infinity."""
    at, used = _evaluate(p, jets, x), p.weight > 0
    for _ in range(most):
        hessian = p.A.T @ (at.curvature[:, None] * p.A)
        damping = 1e-14 * np.trace(hessian) + 1e-300
        step = -np.linalg.lstsq(hessian + damping * np.eye(len(x)), at.gradient, rcond=1e-15)[0]
        decrement, rounding = -float(at.gradient @ step), 1e-14 * max(1.0, abs(at.value))
        length = min(1.0, 0.95 * _room(edge - at.y[used], -(p.A @ step)[used]))
        while length > 1e-18:  # where chi2 is flat, steps are as long as the damping is small
            new = _evaluate(p, jets, x + length * step)
            if decrement > rounding:
                better = new.value <= at.value - 1e-4 * length * decrement
            else:  # the value is all rounding, the gradient is not
                better = _size(new.gradient) < _size(at.gradient)
            if better:
                break
            length /= 2
        else:
            return x
        x, at = x + length * step, new
    return x


def _size(gradient: np.ndarray) -> float:
    return float(np.abs(gradient).max())


def _linear(p: Programme, f: Divergence) -> Solution:
    """f*_i(y) is the smallest z >= y with z >= floor y - f(floor); unbounded ratios: -1/2 <= y instead."""
    (k, n), half = p.A.shape, f.f_prime_inf
    used = p.weight > 0
    eye = np.eye(k)[used]
    rows = [np.c_[p.A[used], -eye], np.c_[p.A, np.zeros((k, k))]]
    sides = [-p.b[used], half - p.b]
    if p.floor is None:
        rows.append(np.c_[-p.A[used], np.zeros_like(eye)])
        sides.append(half + p.b[used])
    else:
        floor = p.floor[used]
        rows.append(np.c_[floor[:, None] * p.A[used], -eye])
        sides.append((1 - floor) / 2 - floor * p.b[used])
    cost = np.r_[p.c, p.weight]
    free = [(None, None)] * n + [(None, None) if w else (0, 0) for w in used]
    out = linprog(cost, A_ub=np.vstack(rows), b_ub=np.concatenate(sides), bounds=free, options=_TIGHT)
    if out.status != 0:
        raise NumericalFailure(f"dual: the linear programme of tv ended with '{out.message}'")
    x = out.x[:n]
    # the multipliers of the three kinds of rows are what the ratio is made of
    price = -out.ineqlin.marginals
    first, rest = price[: used.sum()], price[used.sum() :]
    upper, last = rest[:k], rest[k:]
    measure = upper.copy()
    measure[used] += first + (-last if p.floor is None else p.floor[used] * last)
    return Solution(float(out.fun), x, p.b + p.A @ x, measure, float(np.abs(p.c + p.A.T @ measure).max()))
