"""Gradient steps whose learning rate and limits are hyper-parameters, and may therefore be traced."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.types import Array, PyTree


def root(x: Array) -> Array:
    """Square root of `x` >= 0, `[...]`, whose derivative at 0 is 0 and not infinite; NaN stays NaN."""
    zero = x == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, x)))


def clip_norm(grads: PyTree, limit: float | Array | None) -> tuple[PyTree, Array]:
    """`(grads, norm)`: leaves shrunk by one factor, so that their joint norm is at most `limit` >= 0.

    `norm` is the Euclidean one before shrinking, float[]. A limit that is None or infinite changes nothing.
    Where all leaves are zero the derivative is that of no shrinking; it is finite everywhere. Squares
    are added in the leaves' own type: a float32 gradient whose norm is beyond 1.8e19 has an infinite norm and
    becomes 0.
    """
    norm = root(optax.tree.norm(grads, squared=True))
    if limit is None:
        return grads, norm
    short = norm <= limit
    factor = jnp.where(short, 1.0, limit) / jnp.where(short, 1.0, norm)
    return jax.tree.map(lambda x: x * factor, grads), norm


def descend(
    optimiser: optax.GradientTransformation,
    grads: PyTree,
    opt_state: PyTree,
    params: PyTree,
    lr: float | Array,
) -> tuple[PyTree, PyTree]:
    """`(params, opt_state)` after one step of `lr`, float[], along minus the direction of `optimiser`."""
    direction, opt_state = optimiser.update(grads, opt_state, params)
    return optax.apply_updates(params, jax.tree.map(lambda d: -lr * d, direction)), opt_state
