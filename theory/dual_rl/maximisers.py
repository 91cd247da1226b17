"""Implicit maximisers, exactly: the V that minimises the mean loss of Q - V, and the fixed points it has.

    M(Q)(s) = the smallest argmin_v  E_{a ~ mu(.|s)} loss(Q(s, a) - v),      V = M(r + gamma P V)

Losses are convex in V, so that M is monotone and M(Q + c) = M(Q) + c; hence V -> M(r + gamma P V) contracts
with factor gamma, and the semi-gradient methods of dual RL stand still at its fixed point.

Legend: `S` states, `A` actions. Actions with mu = 0 do not exist.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.dual_rl.objectives import Maximiser
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.tables import policy_table, tables

_ROUNDING = 1e-14
_HALVINGS = 70  # of a bracket, down to the last digit of float64
_MOST = 5000  # backups


def implicit_maximum(maximiser: Maximiser, parameter: Any, q: Any, mu: Any) -> np.ndarray:
    """float64`[..., S]`, M(q), to the last digits; `q`, `mu`: `[..., S, A]`.

    parameter: number, or `[...]` for a batch. Ties, as of quantiles at atoms, are broken downwards.
    """
    with jax.enable_x64(True):
        q, mu = (jnp.asarray(x, float) for x in (q, mu))
        batch = q.shape[:-2]
        number = jnp.broadcast_to(jnp.asarray(parameter, float), batch)
        flat = _maxima(
            maximiser, number.ravel(), q.reshape(-1, *q.shape[-2:]), mu.reshape(-1, *mu.shape[-2:])
        )
        return np.asarray(flat).reshape(q.shape[:-1])


def fixed_point(maximiser: Maximiser, parameter: Any, mdp: TabularMDP, policy: Any) -> np.ndarray:
    """float64`[..., S]`, the V with V = M(r + gamma P V); `parameter` a number or `[...]`.

    policy: mu, the behaviour that the data come from.
    """
    t = tables(mdp)
    if t.horizon is not None or t.gamma == 1:
        raise UsageError("mdp.gamma: the fixed point needs stationary tables and gamma < 1")
    mu = policy_table(policy, t)
    with jax.enable_x64(True):
        number = jnp.asarray(parameter, float)
        v = _fixed_points(maximiser, number.ravel(), *map(jnp.asarray, (t.P, t.R, t.gamma, mu)))
        return np.asarray(v).reshape(*number.shape, -1)


@partial(jax.jit, static_argnums=0)
def _maxima(maximiser: Maximiser, parameter: Array, q: Array, mu: Array) -> Array:
    return jax.vmap(partial(_maximum, maximiser))(parameter, q, mu)


@partial(jax.jit, static_argnums=0)
def _fixed_points(
    maximiser: Maximiser, parameter: Array, P: Array, R: Array, gamma: Array, mu: Array
) -> Array:
    def of_one(number: Array) -> Array:
        def moves(carry: tuple[Array, Array, Array]) -> Array:
            v, change, n = carry
            return (change > 1e-14 * jnp.maximum(1, jnp.abs(v).max())) & (n < _MOST)

        def backup(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            v, _, n = carry
            new = _maximum(maximiser, number, R + gamma * P @ v, mu)
            return new, jnp.abs(new - v).max(), n + 1

        return jax.lax.while_loop(moves, backup, (jnp.zeros(len(R)), jnp.inf, 0))[0]

    return jax.vmap(of_one)(parameter)


def _maximum(maximiser: Maximiser, parameter: Array, q: Array, mu: Array) -> Array:
    """`[S]`, by bisection of the decreasing function v -> E_mu loss'(q - v), which need not be continuous."""
    slope = jax.vmap(jax.vmap(jax.grad(maximiser.loss), (0, None)), (0, None))

    def ascent(v: Array) -> Array:
        steep = slope(jnp.where(mu > 0, q - v[:, None], 0.0), parameter)
        terms = jnp.clip(jnp.where(mu > 0, mu * steep, 0), -1e100, 1e100)
        # what rounding leaves of a sum that is zero must not lead upwards: ties are broken downwards
        return terms.sum(-1) - _ROUNDING * jnp.abs(terms).sum(-1)

    top = jnp.where(mu > 0, q, -jnp.inf).max(-1)
    bottom = jnp.where(mu > 0, q, jnp.inf).min(-1)

    def too_narrow(width: Array) -> Array:
        below = (ascent(bottom - width) <= 0) if math.isinf(maximiser.edge) else False
        return jnp.any((ascent(top + width) > 0) | below) & (width < 1e12)

    width = jax.lax.while_loop(too_narrow, lambda width: 2 * width, jnp.ones(()))
    low = bottom - width if math.isinf(maximiser.edge) else top - maximiser.edge

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        upwards = ascent(middle) > 0
        return jnp.where(upwards, middle, low), jnp.where(upwards, high, middle)

    return jax.lax.fori_loop(0, _HALVINGS, halve, (low, top + width))[1]
