"""The one convex programme behind every dual: linear part, plus conjugates of affine residuals.

    minimise  <c, x> + sum_i weight_i f*_i(y_i)   over x,   y = b + A x,   y_i <= f'(inf) for every i,

where f*_i is the conjugate of f over ratios t >= floor_i (all real t for floor None). With ratios t_i that
attain it, stationarity is c + A' (weight t) = 0: the flow equations, if the programme is a dual of RL.

Smooth f: Newton steps, damped where the curvature vanishes, that never leave the domain: a step is cut in
front of the edge, and halved until the objective falls. Residuals without weight are kept below a finite
f'(inf) by a logarithmic barrier, which then gives way to equations for those that touch it; their multipliers
are the mass there. Total variation is a linear programme.

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
_BARRIERS = (1e-2, 1e-4, 1e-6, 1e-7, 1e-8)


class Programme(NamedTuple):
    """c: `[n]`; A: `[k, n]`; b: `[k]`; weight: `[k]` >= 0; floor: `[k]` >= 0, or None for no bound."""

    c: np.ndarray
    A: np.ndarray
    b: np.ndarray
    weight: np.ndarray
    floor: np.ndarray | None


class Solution(NamedTuple):
    """value: float, the minimum; x: float64`[n]`; y: float64`[k]`; mass: float64`[k]`, weight times ratio, or
    the multiplier of y <= f'(inf) where there is no weight; residual: float, largest |c + A' mass|.
    """

    value: float
    x: np.ndarray
    y: np.ndarray
    mass: np.ndarray
    residual: float


def minimise(p: Programme, key: str, x: np.ndarray) -> Solution:
    """The minimum, from `x` strictly inside the domain (any `x` for tv, which needs none).

    Raises `NumericalFailure` where the programme is unbounded below, or Newton's method stands still.
    """
    return _linear(p, divergence(key)) if key == "tv" else _newton(p, divergence(key), x)


def _newton(p: Programme, f: Divergence, x: np.ndarray) -> Solution:
    edge, jets = f.f_prime_inf, _jets(f.key, p.floor is None)
    guarded = (p.weight == 0) & math.isfinite(edge)
    if not guarded.any():
        x = _descend(p, jets, edge, guarded, 0.0, x)
        at = _evaluate(p, jets, edge, guarded, 0.0, x)
        return Solution(at.value, x, at.y, at.mass, _size(at.gradient))
    for mu in _BARRIERS:
        x = _descend(p, jets, edge, guarded, mu, x)
        found = _crossover(p, jets, edge, guarded, mu, x)
        if found is not None:
            return found
    raise NumericalFailure(
        "dual: it stays unclear which pairs off the support have mass; perturb the reference"
    )


def _crossover(
    p: Programme, jets: Callable, edge: float, guarded: np.ndarray, mu: float, x: np.ndarray
) -> Solution | None:
    """The optimum if the guarded residuals near the edge are those at it, else None."""
    slack = edge - p.b - p.A @ x
    touching = guarded & (mu / np.where(guarded, slack, 1) > slack)
    B, n, m = p.A[touching], len(x), int(touching.sum())
    nobody = np.zeros_like(guarded)
    for _ in range(50):
        at = _evaluate(p, jets, edge, nobody, 0.0, x)
        hessian = p.A.T @ (at.curvature[:, None] * p.A)
        system = np.block([[hessian, B.T], [B, np.zeros((m, m))]])
        step = np.linalg.lstsq(system, np.r_[-at.gradient, edge - at.y[touching]], rcond=1e-15)[0]
        direction = p.A @ step[:n]
        if np.any((at.y + direction >= edge) & (p.weight > 0)) or not np.isfinite(step).all():
            return None
        x = x + step[:n]
        if _size(step[:n]) <= 1e-14 * max(1.0, _size(x)):
            break
    at, price = _evaluate(p, jets, edge, nobody, 0.0, x), step[n:]
    mass = at.mass.copy()
    mass[touching] = price
    residual = _size(p.c + p.A.T @ mass)
    y = np.where(touching, edge, at.y)
    if np.any(price < 0) or np.any(at.y[guarded] > edge + 1e-12) or residual > 1e-11:
        return None
    return Solution(at.value, x, y, mass, residual)


class _Point(NamedTuple):
    value: float
    y: np.ndarray
    mass: np.ndarray
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


def _evaluate(
    p: Programme, jets: Callable, edge: float, guarded: np.ndarray, mu: float, x: np.ndarray
) -> _Point:
    y = p.b + p.A @ x
    floor = np.zeros(len(y)) if p.floor is None else p.floor
    with jax.enable_x64(True):
        star, ratio, slope = (np.asarray(z) for z in jets(y, floor))
    used = p.weight > 0
    mass, bend = p.weight * np.where(used, ratio, 0), p.weight * np.where(used, slope, 0)
    value = p.c @ x + (p.weight[used] @ star[used])
    if guarded.any():
        slack = edge - y[guarded]
        mass[guarded], bend[guarded] = mu / slack, mu / slack**2
        value -= mu * np.log(slack).sum()
    with np.errstate(invalid="ignore"):  # the ratios of a step that is too long overflow
        return _Point(float(value), y, mass, p.c + p.A.T @ mass, bend)


def _descend(
    p: Programme, jets: Callable, edge: float, guarded: np.ndarray, mu: float, x: np.ndarray, most: int = 500
) -> np.ndarray:
    """Damped Newton until rounding stops it."""
    at = _evaluate(p, jets, edge, guarded, mu, x)
    confined = (p.weight > 0) | guarded
    for _ in range(most):
        hessian = p.A.T @ (at.curvature[:, None] * p.A)
        damping = 1e-14 * np.trace(hessian) + 1e-300
        step = -np.linalg.lstsq(hessian + damping * np.eye(len(x)), at.gradient, rcond=1e-15)[0]
        decrement = -float(at.gradient @ step)
        if decrement <= 1e-26 * max(1.0, abs(at.value)):
            return x
        direction = p.A @ step
        towards = confined & (direction > 0)
        length = min(1.0, 0.95 * float(((edge - at.y)[towards] / direction[towards]).min(initial=math.inf)))
        rounding = 1e-14 * max(1.0, abs(at.value))
        while length > 1e-14:
            new = _evaluate(p, jets, edge, guarded, mu, x + length * step)
            falls = new.value <= at.value - 1e-4 * length * decrement
            # so close that the value is all rounding: the gradient decides
            settles = abs(new.value - at.value) <= rounding and _size(new.gradient) < _size(at.gradient)
            if falls or settles:
                break
            length /= 2
        else:
            return x
        x, at = x + length * step, new
    raise NumericalFailure(f"dual: not solved after {most} Newton steps (gradient {_size(at.gradient):.1e})")


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
    mass = upper.copy()
    mass[used] += first + (-last if p.floor is None else p.floor[used] * last)
    return Solution(float(out.fun), x, p.b + p.A @ x, mass, float(np.abs(p.c + p.A.T @ mass).max()))
