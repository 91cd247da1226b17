"""Operations on whole pytrees."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, PyTree


def tree_where(mask: Array, if_true: PyTree, if_false: PyTree) -> PyTree:
    """Select leafwise; `mask` `[N]` (or `[]`) is broadcast over the trailing axes of leaves `[N, ...]`."""

    def select(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(select, if_true, if_false)


def tree_stack(trees: list[PyTree]) -> PyTree:
    """Stack equal trees on a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def tree_take(tree: PyTree, index: int | Array) -> PyTree:
    """Leaves indexed along their first axis."""
    return jax.tree.map(lambda x: x[index], tree)


def tree_broadcast(tree: PyTree, n: int) -> PyTree:
    """Leaves `[...]` repeated to `[n, ...]`."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), tree)


def strong(tree: PyTree) -> PyTree:
    """Leaves as arrays of their own dtypes, strongly typed: a Python number is an array afterwards."""

    def convert(leaf: Any) -> Array:
        x = jnp.asarray(leaf)
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return x if is_key else jax.lax.convert_element_type(x, x.dtype)

    return jax.tree.map(convert, tree)


def flatten_time(tree: PyTree) -> PyTree:
    """Leaves `[T, N, ...]` as `[T * N, ...]`."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), tree)
