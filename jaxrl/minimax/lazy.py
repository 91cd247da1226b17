"""The lazy limit alpha -> inf: a linear equation for both functions, its solution and its stable steps.

Legend: `M`, `L` points of f and g; `n = M + L`.
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.minimax.particles import gram
from jaxrl.minimax.problem import Data, Points
from jaxrl.minimax.velocity import Networks, Players

ROWS = 128  # observations from which the spectrum of a sample is estimated
ZERO = 1e-9  # eigenvalues below this share of the largest are rounding


def linear_system(data: Data, primal: Array, dual: Array, tau: Array | float = 1.0) -> tuple[Array, Array]:
    """`(A [n, n], c [n])` of d/dt (f, g) = A (f, g) + c, for the kernels of the initial particles.

    primal: `[M, M]`, dual: `[L, L]`, tangent kernels at the points of f and g; tau: speed of g.
    Equation: zhu2024meanfield [lazy limit]
    """
    m = primal.shape[0]

    def change(y: Array) -> Array:
        down, up = data.gradients(y[:m], y[m:])
        return jnp.concatenate([-primal @ down, tau * (dual @ up)])

    zero = jnp.zeros(m + dual.shape[0], primal.dtype)
    return jax.jacfwd(change)(zero), change(zero)


def lazy_flow(A: Any, c: Any, start: Any, dt: float, steps: int) -> np.ndarray:
    """Float64 `[steps + 1, n]`, the solution of y' = A y + c at 0, dt, 2 dt ..., exact but for rounding.

    A: `[n, n]`, c: `[n]`, start: `[n]`. A host function: it exponentiates a matrix. Raises `UsageError` for
    shapes that do not fit and for numbers that are not finite.
    """
    A, c, start = (np.asarray(x, np.float64) for x in (A, c, start))
    n = c.size
    if A.shape != (n, n) or c.shape != (n,) or start.shape != (n,):
        shapes = f"{A.shape}, {c.shape}, {start.shape}"
        raise UsageError(f"lazy_flow.A, c, start: must be [n, n], [n], [n], got shapes {shapes}")
    if not all(np.isfinite(x).all() for x in (A, c, start, np.asarray(dt))):
        raise UsageError("lazy_flow: A, c, start and dt must be finite")
    augmented = np.zeros((n + 1, n + 1))
    augmented[:n] = np.c_[A, c]
    step = _exponential(dt * augmented)[:n]
    path = [start]
    for _ in range(steps):
        path.append(step[:, :n] @ path[-1] + step[:, n])
    return np.stack(path)


def _exponential(a: np.ndarray) -> np.ndarray:
    """Matrix exponential of a `[n, n]` by its series at a / 2^k, squared k times."""
    halvings = max(0, math.ceil(math.log2(max(np.abs(a).sum(0).max(), 1.0))) + 1)
    small, total = a / 2**halvings, np.eye(len(a))
    term = total
    for k in range(1, 16):  # 0.5^16 / 16! is below rounding
        term = term @ small / k
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def stability_limit(A: Any) -> float:
    """The eps below which Euler's method on y' = A y does not diverge: min 2 |Re m| / |m|^2; host function.

    Over the eigenvalues m of A `[n, n]` that are not 0; 0.0 where one has a positive real part, infinity
    where all are 0. Raises `UsageError` for an A that is not square or not finite.
    """
    A = np.asarray(A, np.float64)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.size or not np.isfinite(A).all():
        raise UsageError(f"stability_limit.A: must be finite and square, got shape {A.shape}")
    m = np.linalg.eigvals(A)
    if not np.any(m):
        return math.inf
    m = m[np.abs(m) > ZERO * np.abs(m).max()]
    if m.real.max() > ZERO * np.abs(m).max():
        return 0.0
    return float(np.min(2 * np.abs(m.real) / np.abs(m) ** 2))


@partial(jax.jit, static_argnums=0)
def _matrix(networks: Networks, players: Players, data: Data, tau: Any) -> Array:
    primal = gram(networks.primal, players.primal, data.primal_points)
    dual = gram(networks.dual, players.dual, data.dual_points)
    return linear_system(data, primal, dual, tau)[0]


def check_step(networks: Networks, players: Players, data: Data, eps: float, tau: float = 1.0) -> float:
    """The stability limit of eps at the current particles; warns, with the number, if `eps` is beyond it.

    Observations are estimated from the first 128 rows: minibatches need a margin, a factor of 3 is usual.
    """
    if isinstance(data, Points):
        data = data.rows(slice(0, ROWS))
    # in float32, rounding would move eigenvalues at 0 into the right half plane
    data, players = jax.tree.map(lambda x: np.asarray(x, np.float64), (data, players))
    with jax.enable_x64(True):
        limit = stability_limit(_matrix(networks, players, data, tau))
    if eps > limit:
        warnings.warn(
            f"eps={eps:g} is beyond the stability limit {limit:.4g} of the lazy spectrum; descent-ascent will"
            f" diverge or circle, choose a third of it",
            stacklevel=2,
        )
    return limit
