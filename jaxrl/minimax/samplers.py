"""Observations of the instances, drawn inside a compiled program: `(key, n, ...) -> Points`.

All raise `UsageError` for fewer than one observation, and where the grid of the same instance does.
Wrapped as `lambda key, data: npiv_points(key, 1, ...)` they are the samplers of `sgda.make`.

Legend: `n` observations, `S` states.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.core.fields import Positive, Size, check_value
from jaxrl.core.types import Array, Key
from jaxrl.minimax.instances import Burnside, Function, Pricing, correlation, discount
from jaxrl.minimax.problem import Points


def npiv_points(
    key: Key,
    n: int,
    rho: float,
    *,
    truth: Function = jnp.sin,
    endogenous: float = 0.5,
    noise: float = 0.1,
    lam: Any = 0.0,
    dtype: Any = None,
) -> Points:
    """The endogenous x = rho z + sqrt(1 - rho^2) xi and y = f(x) + endogenous xi + noise e."""
    correlation("npiv_points.rho", rho)
    z, xi, e = _normals(key, n, 3, dtype)
    x = rho * z + jnp.sqrt(1 - rho**2) * xi
    return _points([x], [jnp.ones(n, x.dtype)], truth(x) + endogenous * xi + noise * e, [z], lam)


def ar1_points(
    key: Key, n: int, a: float, gamma: float, *, reward: Function = jnp.sin, lam: Any = 0.0, dtype: Any = None
) -> Points:
    """Transitions of s' = a s + sqrt(1 - a^2) xi from the stationary distribution."""
    correlation("ar1_points.a", a)
    discount(gamma)
    s, xi = _normals(key, n, 2, dtype)
    c = jnp.ones(n, s.dtype)
    return _points([s, a * s + jnp.sqrt(1 - a**2) * xi], [c, -gamma * c], reward(s), [s], lam)


def chain_points(
    key: Key, n: int, P: Any, r: Any, gamma: float, weights: Any, inputs: Any, *, lam: Any = 0.0
) -> Points:
    """Transitions of a finite chain P `[S, S]` from states of weights `[S]`, seen through inputs `[S, d]`."""
    check_value("chain_points.n", n, Size)
    discount(gamma)
    k_now, k_next = jax.random.split(key)
    P, r, weights, inputs = (jnp.asarray(a) for a in (P, r, weights, inputs))
    now = jax.random.categorical(k_now, jnp.log(weights), shape=(n,))
    following = jax.random.categorical(k_next, jnp.log(P)[now])
    x = jnp.stack([inputs[now], inputs[following]], axis=1)
    c = jnp.tile(jnp.array([[1.0, -gamma]], x.dtype), (n, 1))
    return _filled(x, c, r[now], inputs[now][:, None], lam)


def burnside_points(
    key: Key,
    n: int,
    economy: Burnside = Burnside(),
    *,
    scale: float = 0.01,
    lam: Any = 0.0,
    dtype: Any = None,
) -> Points:
    """Growth today and tomorrow, for the deviation f of the price; inputs are (x - mean) / sd."""
    correlation("burnside_points.economy.rho", economy.rho)
    now, xi = _normals(key, n, 2, dtype)
    following = economy.rho * now + jnp.sqrt(1 - economy.rho**2) * xi
    kappa = economy.beta * jnp.exp(economy.theta * (economy.mean + economy.sd * following))
    vb = economy.level
    b = (kappa - vb * (1 - kappa)) / (scale * vb)
    return _points([now, following], [jnp.ones(n, now.dtype), -kappa], b, [now], lam)


def discount_points(
    key: Key, n: int, economy: Pricing = Pricing(), *, lam: Any = 0.0, dtype: Any = None
) -> Points:
    """State tomorrow and return of one asset, given the state today: R f(x') - 1."""
    correlation("discount_points.economy.a", economy.a)
    z, xi, e = _normals(key, n, 3, dtype)
    x = economy.a * z + jnp.sqrt(1 - economy.a**2) * xi
    gross = jnp.exp(economy.drift(z) + economy.b * x + economy.sg * e)
    return _points([x], [gross], jnp.ones(n, x.dtype), [z], lam)


def derivative_points(key: Key, n: int, *, step: float = 1e-2, lam: Any = 0.0, dtype: Any = None) -> Points:
    """The functional g'(X) as a central difference of width `step`, X ~ N(0, 1); its bias is O(step^2)."""
    check_value("derivative_points.step", step, Positive)
    (x,) = _normals(key, n, 1, dtype)
    one = jnp.ones(n, x.dtype)
    d = jnp.stack([0 * one, one / (2 * step), -one / (2 * step)], axis=1)
    return _points([x], [-one], 0 * x, [x, x + step, x - step], lam)._replace(d=d)


def treatment_points(key: Key, n: int, *, lam: Any = 0.0) -> Points:
    """The functional g(1, V) - g(0, V), V ~ N(0, 1) and D Bernoulli with the logistic of V; inputs (D, V)."""
    check_value("treatment_points.n", n, Size)
    k_v, k_d = jax.random.split(key)
    v = jax.random.normal(k_v, (n,))
    treated = jax.random.bernoulli(k_d, jax.nn.sigmoid(v)).astype(v.dtype)
    one = jnp.ones_like(v)
    seen = jnp.stack([treated, v], axis=1)
    both = [jnp.stack([arm * one, v], axis=1) for arm in (1.0, 0.0)]
    d = jnp.tile(jnp.array([[0.0, 1.0, -1.0]], v.dtype), (n, 1))
    z = jnp.stack([seen, *both], axis=1)
    return _filled(seen[:, None], -one[:, None], 0 * one, z, lam)._replace(d=d)


def _normals(key: Key, n: int, kinds: int, dtype: Any) -> Array:
    """`[kinds, n]` independent standard normals."""
    check_value("n", n, Size)
    return jax.random.normal(key, (kinds, n), jnp.zeros(()).dtype if dtype is None else dtype)


def _points(x: list[Array], c: list[Array], b: Array, z: list[Array], lam: Any) -> Points:
    """Observations of scalar inputs: lists over evaluation points of arrays `[n]`."""
    return _filled(
        jnp.stack(x, axis=1)[..., None], jnp.stack(c, axis=1), b, jnp.stack(z, axis=1)[..., None], lam
    )


def _filled(x: Array, c: Array, b: Array, z: Array, lam: Any) -> Points:
    n = x.shape[0]
    d = jnp.zeros(z.shape[:2], x.dtype)
    return Points(x, c, b, z, d, jnp.zeros(n, x.dtype), jnp.full(n, 1 / n, x.dtype), lam)
