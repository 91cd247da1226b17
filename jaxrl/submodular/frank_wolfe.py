"""Convex reinforcement learning: a concave function of the occupancy, by Frank-Wolfe.

Its objective is a function of how often each place is visited on average over trajectories, which the value
of a set function is not: the two problems have different solutions.

Legend: `V` places, `A` actions, `H` actions of an episode, `K` iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array


class Mixture(NamedTuple):
    """A policy drawn before the episode: table k with probability weight[k].

    action: int32[K + 1, H, V], deterministic tables, the first of which is the one of zero reward; weight:
    float[K + 1]; occupancy: float[V], of the mixture; value: float[K + 1], the objective before each
    iteration and at the end; gap: float[K], upper bounds on optimum - value.
    """

    action: Array
    weight: Array
    occupancy: Array
    value: Array
    gap: Array


def entropy(d: Array, smooth: float = 1e-6) -> Array:
    """float[], -sum_v d_v log(d_v + smooth) of `d` float[V]; concave, with a finite gradient at 0."""
    return -jnp.sum(d * jnp.log(d + smooth))


def frank_wolfe(
    P: Array, mu0: Array, horizon: int, iterations: int, objective: Callable[[Array], Array] = entropy
) -> Mixture:
    """Maximises a concave `objective` of the occupancy d, float[V], sum 1, of `horizon` + 1 visited states.

    P: float[V, A, V]; mu0: float[V]. Each iteration solves the MDP that pays the gradient of the objective,
    and mixes its occupancy in with weight 2 / (k + 2). gap_k = max_d <gradient, d - d_k> bounds what is
    missing. Raises `UsageError` for a horizon or a number of iterations below 1, and for rows of P or a mu0
    that are no probabilities.

    Equation: hazan2019provably [Frank-Wolfe over occupancies]
    """
    if horizon < 1 or iterations < 1:
        raise UsageError(f"frank_wolfe.horizon, iterations: must be >= 1, got {horizon}, {iterations}")
    for name, rows in (("P", P), ("mu0", mu0)):
        if not isinstance(rows, jax.core.Tracer):
            rows = np.asarray(rows, np.float64)
            if not (np.all(rows >= 0) and np.allclose(rows.sum(-1), 1, atol=1e-5)):
                raise UsageError(f"frank_wolfe.{name}: rows must be probabilities that sum to 1")
    P, mu0 = jnp.asarray(P), jnp.asarray(mu0)
    first = _solve(P, jnp.zeros_like(mu0), horizon)
    value_and_gradient = jax.value_and_grad(objective)

    def body(d: Array, k: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        value, gradient = value_and_gradient(d)
        action = _solve(P, gradient, horizon)
        best = occupancy(P, mu0, action)
        return d + 2 / (k + 2) * (best - d), (action, value, gradient @ (best - d))

    steps = jnp.arange(iterations, dtype=mu0.dtype)
    d, (action, value, gap) = jax.lax.scan(body, occupancy(P, mu0, first), steps)
    # component k is diluted by all later mixings
    share = 2 / (steps + 2)
    later = jnp.append(jnp.cumprod((1 - share)[::-1])[::-1], 1)
    weight = jnp.concatenate([later[:1], share * later[1:]])
    values = jnp.append(value, objective(d))
    return Mixture(jnp.concatenate([first[None], action]), weight, d, values, gap)


def occupancy(P: Array, mu0: Array, action: Array) -> Array:
    """float[V], average distribution of the H + 1 visited states under tables `action` int32[H, V]."""
    P, mu0, action = jnp.asarray(P), jnp.asarray(mu0), jnp.asarray(action)
    places = jnp.arange(mu0.shape[0])

    def body(before: Array, row: Array) -> tuple[Array, Array]:
        after = before @ P[places, row]
        return after, after

    later = jax.lax.scan(body, mu0, action)[1]
    return (mu0 + later.sum(0)) / (action.shape[0] + 1)


def _solve(P: Array, reward: Array, horizon: int) -> Array:
    """int32[H, V], the best actions for `reward` float[V] on every visited state, the lowest of equals."""

    def body(value: Array, _: None) -> tuple[Array, Array]:
        score = P @ value
        return reward + score.max(1), jnp.argmax(score, axis=1).astype(jnp.int32)

    return jax.lax.scan(body, reward, None, length=horizon, reverse=True)[1]
