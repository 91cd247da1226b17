"""Width costs N^-1/2, Euler's step eps, single observations eps^1/2.

Statement. On a fixed interval of time the functions of N particles differ from those of infinitely many by
O(N^-1/2), Euler's method from the flow by O(eps), and descent-ascent on one observation per update by
O(eps^1/2).

Check. Cosine neurons, alpha = 4, t = 4, 16 draws, N = 32 ... 256, against a quadrature of the initial
distribution: slope in [-0.62, -0.42]. Tanh neurons, N = 256: Euler with eps = 0.4 ... 0.025 against
Runge-Kutta, slope in [0.95, 1.1]; single observations (noise 0.5 xi + 0.1 e), eps = 0.1 ... 0.0125, 16 runs,
slope in [0.4, 0.7]. Distances from the middles in units of half the widths.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.prng import streams
from jaxrl.core.types import Array
from jaxrl.minimax import sgda
from jaxrl.minimax.flow import flow, integrate
from jaxrl.minimax.particles import COS, predict, quadrature
from jaxrl.minimax.samplers import npiv_points
from jaxrl.minimax.velocity import Networks, Players, velocity
from theory.exact.result import Result
from theory.minimax.oracles import saddle
from theory.minimax.setting import LAM, NETWORKS, RHO, at_most, distance, reference, slope, start
from theory.minimax.thm_07_lazy_deviation import rms

ALPHA, T = 4.0, 4.0


class Errors(NamedTuple):
    """Errors `[draws, n]` in L2(p) x L2(q) at time 4, for widths or steps `size [n]`."""

    size: np.ndarray
    error: np.ndarray


def width_errors(
    seed: int, widths: tuple[int, ...], draws: int, n: int = 16, orders: Any = (6, 28, 16)
) -> Errors:
    """Cosine networks against the network of infinite width; one program, narrow draws are padded."""
    made, networks = reference(n), Networks(COS, COS)
    solution, infinite = saddle(made), quadrature(COS, orders)

    def end(players: Players) -> tuple[Array, Array]:
        trace = flow(networks, players, made, ALPHA, solution, dt=0.4, steps=10, every=10)
        return trace.f[-1], trace.g[-1]

    def one(key: Any, live: Any) -> tuple[Array, Array]:
        return end(start(key, max(widths), networks, live=live))

    f, g = jax.jit(end)(Players(infinite, infinite))
    over_widths = jax.vmap(one, (None, 0))
    found = jax.jit(jax.vmap(over_widths, (0, None)))(streams(jax.random.key(seed), draws), jnp.array(widths))
    return Errors(
        np.array(widths),
        distance(made, *(np.asarray(a) - np.asarray(b) for a, b in zip(found, (f, g), strict=True))),
    )


def euler_errors(seed: int, steps: tuple[float, ...], draws: int = 1, width: int = 256) -> Errors:
    """Euler's method against Runge-Kutta from the same particles; all steps in one program."""
    made = reference()

    def one(key: Any) -> Array:
        players = start(key, width)

        def at(theta: Array, omega: Array) -> Any:
            moved = Players(players.primal._replace(theta=theta), players.dual._replace(theta=omega))
            return velocity(NETWORKS, moved, made, ALPHA)

        def euler(eps: Array) -> Array:
            def field(y: Any) -> Any:
                move = at(y[0], y[1])
                active = jnp.where(y[2] < T - eps / 2, 1.0, 0.0)  # shorter runs wait for the longest
                return active * move.primal, active * move.dual, active

            most = round(T / min(steps))
            y = integrate(field, first, eps, most, most, "euler")
            return functions(y)

        def functions(y: Any) -> Array:
            move = at(y[0][-1], y[1][-1])
            return jnp.concatenate([move.f, move.g])

        first = players.primal.theta, players.dual.theta, jnp.zeros(())
        exact = functions(integrate(lambda y: (*at(y[0], y[1])[:2], jnp.zeros(())), first, 0.05, 80, 80))
        return jax.vmap(euler)(jnp.array(steps)) - exact[None]

    found = np.asarray(jax.jit(jax.vmap(one))(streams(jax.random.key(seed), draws)))
    n = len(made.p)
    return Errors(np.array(steps), distance(made, found[..., :n], found[..., n:]))


def sampling_errors(seed: int, steps: tuple[float, ...], draws: int, width: int = 256) -> Errors:
    """One observation per update against the flow from the same particles; all steps in one program."""
    made, solution = reference(), saddle(reference())
    config = sgda.Config(width=width)
    algorithm = sgda.make(config, lambda key, _: npiv_points(key, 1, RHO, lam=LAM, dtype=made.p.dtype))

    def one(key: Any) -> Array:
        first = algorithm.init(key, sgda.Hyper(alpha=ALPHA), None)
        trace = flow(NETWORKS, first.params, made, ALPHA, solution, dt=0.1, steps=40, every=40)

        def sampled(eps: Array) -> Array:
            def update(state: sgda.State, _: None) -> tuple[sgda.State, None]:
                active = jnp.where((state.updates + 0.5) * eps < T, eps, 0.0)
                return algorithm.step(state, sgda.Hyper(alpha=ALPHA, eps=active), None)[0], None

            state, _ = jax.lax.scan(update, first, length=round(T / min(steps)))
            f = predict(NETWORKS.primal, state.params.primal, made.x, ALPHA)
            g = predict(NETWORKS.dual, state.params.dual, made.z, ALPHA)
            return jnp.concatenate([f - trace.f[-1], g - trace.g[-1]])

        return jax.vmap(sampled)(jnp.array(steps))

    found = np.asarray(jax.jit(jax.vmap(one))(streams(jax.random.key(seed), draws)))
    n = len(made.p)
    return Errors(np.array(steps), distance(made, found[..., :n], found[..., n:]))


@cache
def instance(seed: int) -> list[tuple[Errors, float, float]]:
    """The three errors with the ends of the interval of their slopes."""
    return [
        (width_errors(seed, (32, 64, 128, 256), 16, orders=(6, 20, 10)), -0.62, -0.42),
        (euler_errors(seed, (0.4, 0.2, 0.1, 0.05, 0.025)), 0.95, 1.1),
        (sampling_errors(seed, (0.1, 0.05, 0.025, 0.0125), 16), 0.4, 0.7),
    ]


def check(exchanged: bool = False) -> Result:
    """Slopes; exchanged: the intervals of the two steps are swapped."""
    with jax.enable_x64(True):
        cases = instance(9)
    ends = [(low, high) for _, low, high in cases]
    if exchanged:
        ends = [ends[0], ends[2], ends[1]]
    slopes = [slope(found.size, rms(found.error)) for found, _, _ in cases]
    return at_most(
        [(2 * s - low - high) / (high - low) for s, (low, high) in zip(slopes, ends, strict=True)], 1.0
    )


def broken() -> Result:
    """The orders of Euler's method and of sampling exchanged."""
    return check(exchanged=True)
