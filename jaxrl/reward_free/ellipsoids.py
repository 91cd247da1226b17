"""Estimates that lie in several confidence ellipsoids |theta - theta_m|_(Gram_m) <= beta at once.

Legend: `B` blocks of `k` features; the regressions `[...]` of a state are the ellipsoids.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array
from jaxrl.reward_free.regression import VTRState, distance

SWEEPS = 50


def violations(theta: Array, state: VTRState, beta: Array) -> Array:
    """int32[], how many ellipsoids theta `[B, k]` is outside of by more than rounding; beta `[]`."""
    away = distance(state.gram, state.theta - _as(theta, state.theta))
    return (away > beta * (1 + 1e-5)).sum(dtype=jnp.int32)


def move_inside(theta: Array, state: VTRState, beta: Array) -> tuple[Array, Array]:
    """Theta `[B, k]` moved into all ellipsoids of radius beta `[]` as far as it goes, and how many it was
    outside of.

    Alternating projections, each in the metric of its ellipsoid, at most 50 rounds.
    """
    centres, grams = state.theta, state.gram
    centres = centres.reshape(-1, *theta.shape)
    grams = grams.reshape(-1, *grams.shape[-3:])

    def project(m: Array, theta: Array) -> Array:
        away = theta - centres[m]
        length = distance(grams[m], away)
        return centres[m] + away * jnp.minimum(1, beta / jnp.maximum(length, beta))

    def outside(carry: tuple[Array, Array]) -> Array:
        return (carry[0] < SWEEPS) & (violations(carry[1], state, beta) > 0)

    def sweep(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return carry[0] + 1, jax.lax.fori_loop(0, len(centres), project, carry[1])

    first = violations(theta, state, beta)
    return jax.lax.while_loop(outside, sweep, (jnp.zeros((), jnp.int32), theta))[1], first


def _as(theta: Array, like: Array) -> Array:
    return theta.reshape((1,) * (like.ndim - theta.ndim) + theta.shape)
