"""The continuous flow of a population problem by steps of fixed size: Euler, Heun, classical Runge-Kutta.

Legend: `S` saved points including the start; `N` particles, `D` parameters of one; `M`, `L` nodes of f and g.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, PyTree
from jaxrl.minimax.particles import displacement, predict
from jaxrl.minimax.problem import Problem
from jaxrl.minimax.velocity import Networks, Players, velocity

Scheme = Literal["euler", "heun", "rk4"]
TABLEAUX = {
    "euler": ((0.0,), (1.0,)),
    "heun": ((0.0, 1.0), (0.5, 0.5)),
    "rk4": ((0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
"""How far along the slope of the stage before each stage looks, and its weight."""


class Trace(NamedTuple):
    """Saved points of a flow.

    t: `[S]`; theta: `[S, N, D]`, omega: `[S, N', D']`; f: `[S, M]`, g: `[S, L]`, both at the nodes; gap:
    `[S]`, G; dissipated: `[S]`, the integral of G from 0 to t.
    """

    t: Array
    theta: Array
    omega: Array
    f: Array
    g: Array
    gap: Array
    dissipated: Array


def gap(problem: Problem, f: Array, g: Array, saddle: tuple[Any, Any]) -> Array:
    """float[...], G = |g - g*|_q^2 + lam |f - f*|_p^2 of f `[..., M]`, g `[..., L]` and the saddle (f*, g*).

    Equation: zhu2024meanfield [gap]
    """
    f_off, g_off = f - jnp.broadcast_to(saddle[0], f.shape), g - jnp.broadcast_to(saddle[1], g.shape)
    return g_off**2 @ problem.q + problem.lam * (f_off**2 @ problem.p)


def integrate(
    field: Callable[[PyTree], PyTree],
    start: PyTree,
    dt: Any,
    steps: int,
    every: int = 1,
    scheme: Scheme = "rk4",
) -> PyTree:
    """Solution of y' = field(y), leaves `[steps // every + 1, ...]`, after 0, every, 2 every ... steps of dt.

    Raises `UsageError` for an unknown scheme, or if `every` does not divide `steps`.
    """
    if scheme not in get_args(Scheme):
        raise UsageError(f"scheme: {scheme!r} is none of {get_args(Scheme)}")
    if steps < 1 or every < 1 or steps % every:
        raise UsageError(f"every: {every} must divide the number of steps {steps}")

    ahead, weights = (jnp.array(row) for row in TABLEAUX[scheme])

    def one(y: PyTree, _: None) -> tuple[PyTree, None]:
        def stage(carry: tuple[PyTree, PyTree], row: tuple[Array, Array]) -> tuple[Any, None]:
            k, total = carry
            k = field(jax.tree.map(lambda a, b: a + jnp.asarray(dt * row[0], a.dtype) * b, y, k))
            return (k, jax.tree.map(lambda a, b: a + jnp.asarray(dt * row[1], a.dtype) * b, total, k)), None

        # a loop over the stages compiles the field once, not once per stage
        (_, after), _ = jax.lax.scan(stage, (jax.tree.map(jnp.zeros_like, y), y), (ahead, weights))
        return after, None

    def block(y: PyTree, _: None) -> tuple[PyTree, PyTree]:
        y, _ = jax.lax.scan(one, y, length=every)
        return y, y

    start = jax.tree.map(jnp.asarray, start)
    _, saved = jax.lax.scan(block, start, length=steps // every)
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), start, saved)


def flow(
    networks: Networks,
    players: Players,
    problem: Problem,
    alpha: Array | float,
    saddle: tuple[Any, Any],
    *,
    dt: Any,
    steps: int,
    every: int = 1,
    scheme: Scheme = "rk4",
    tau: Any = 1.0,
    centred: bool = False,
) -> Trace:
    """Particles of both players along the flow; the integral of G is a component of the same scheme.

    alpha: float[]. saddle: (f* `[M]`, g* `[L]`), of `problem`. tau: speed of g over that of f. centred: the
    model is the network minus its start. Raises `UsageError` as `integrate`.
    """
    offset: tuple[Any, Any] = (0.0, 0.0)
    if centred:
        f0 = predict(networks.primal, players.primal, problem.primal_points, alpha)
        offset = -f0, -predict(networks.dual, players.dual, problem.dual_points, alpha)

    def at(theta: Array, omega: Array) -> Any:
        moved = Players(players.primal._replace(theta=theta), players.dual._replace(theta=omega))
        return velocity(networks, moved, problem, alpha, offset)

    def field(y: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        move = at(y[0], y[1])
        return move.primal, tau * move.dual, gap(problem, move.f, move.g, saddle)

    start = (players.primal.theta, players.dual.theta, jnp.zeros((), jnp.asarray(players.primal.theta).dtype))
    theta, omega, dissipated = integrate(field, start, dt, steps, every, scheme)
    move = jax.vmap(at)(theta, omega)
    t = dt * every * jnp.arange(steps // every + 1)
    return Trace(t, theta, omega, move.f, move.g, gap(problem, move.f, move.g, saddle), dissipated)


def moved(players: Players, trace: Trace) -> Array:
    """`[S]`, root mean squared displacement of the particles of f since the start."""
    at = players.primal
    return jax.vmap(lambda theta: displacement(at._replace(theta=theta), trace.theta[0]))(trace.theta)
