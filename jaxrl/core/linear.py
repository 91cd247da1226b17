"""Small linear systems by elimination written out in array operations, without LAPACK.

Inside a population use these instead of `jnp.linalg` and `jax.scipy.linalg`: on CPUs a batched LAPACK call
splits its batch over the threads of a pool and waits for them, and where such calls run on two devices at
once all threads can wait inside them for ever (jaxlib 0.10.2). For up to about a hundred unknowns.

Every function takes one matrix, of float32 or float64; batches are made by `jax.vmap`. All can be
differentiated, and raise `UsageError` for other types and for shapes that do not fit.

Legend: `n` unknowns, `k` right-hand sides.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array


def solve(a: Array, b: Array) -> Array:
    """Solution of a x = b by elimination with partial pivoting; a `[n, n]`, b and x `[n]` or `[n, k]`.

    Not finite where `a` is singular.
    """
    _check(a, b)
    factors, order = _lu(jax.lax.stop_gradient(a))

    def forward(_: object, b: Array) -> Array:
        return _substitute(factors, _substitute(factors, b[order], lower=True, unit=True))

    def transposed(_: object, b: Array) -> Array:
        x = _substitute(factors.T, _substitute(factors.T, b, lower=True), unit=True)
        return jnp.zeros_like(x).at[order].set(x)

    x = jax.lax.custom_linear_solve(partial(jnp.matmul, a), _columns(a, b), forward, transposed)
    return x.reshape(b.shape)


def solve_positive(a: Array, b: Array) -> Array:
    """Solution of a x = b for a symmetric positive definite a `[n, n]`; b and x `[n]` or `[n, k]`.

    NaN where `a` is not positive definite to rounding. Only the lower triangle of `a` is read for the value.
    """
    _check(a, b)
    root = cholesky(jax.lax.stop_gradient(a))

    def both(_: object, b: Array) -> Array:
        return _substitute(root.T, _substitute(root, b, lower=True))

    x = jax.lax.custom_linear_solve(partial(jnp.matmul, a), _columns(a, b), both, symmetric=True)
    return x.reshape(b.shape)


def inverse(a: Array) -> Array:
    """The inverse of a `[n, n]`, as `solve` of the identity."""
    _check(a)
    return solve(a, jnp.eye(a.shape[-1], dtype=a.dtype))


def inverse_positive(a: Array) -> tuple[Array, Array]:
    """The inverse `[n, n]` of a symmetric positive definite a `[n, n]`, and log det a `[]`.

    NaN where `a` is not positive definite to rounding. The inverse is exactly symmetric.
    """
    root = cholesky(a)
    half = _substitute(root, jnp.eye(a.shape[0], dtype=a.dtype), lower=True)
    return jnp.matmul(half.T, half, precision="highest"), 2 * jnp.log(jnp.diag(root)).sum()


def cholesky(a: Array) -> Array:
    """Lower triangular L `[n, n]` with L L' = a, for a symmetric positive definite a `[n, n]`.

    NaN where `a` is not positive definite to rounding. Only the lower triangle of `a` is read.
    """
    _check(a)
    index = jnp.arange(a.shape[0])

    def column(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, root = carry
        pivot = jnp.sqrt(rest[k, k])
        found = jnp.where(index > k, rest[:, k] / pivot, jnp.where(index == k, pivot, 0.0))
        return rest - found[:, None] * found[None], root.at[:, k].set(found)

    return jax.lax.fori_loop(0, a.shape[0], column, (a, jnp.zeros_like(a)))[1]


def semidefinite_root(a: Array) -> Array:
    """Lower triangular L `[n, n]` with L L' = a, for a symmetric positive semidefinite a `[n, n]`.

    Columns of pivots that are not positive are 0, so that a matrix which is singular, or indefinite by
    rounding, has a root, too; NaN stays NaN. Only the lower triangle of `a` is read.
    """
    _check(a)
    index = jnp.arange(a.shape[0])

    def column(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, root = carry
        pivot = rest[k, k]
        scale = jnp.where(pivot <= 0, 0.0, 1 / jnp.sqrt(jnp.where(pivot <= 0, 1.0, pivot)))
        found = jnp.where(index >= k, rest[:, k] * scale, 0.0)
        return rest - found[:, None] * found[None], root.at[:, k].set(found)

    return jax.lax.fori_loop(0, a.shape[0], column, (a, jnp.zeros_like(a)))[1]


def _lu(a: Array) -> tuple[Array, Array]:
    """Factors of a `[n, n]` in one array, L below the diagonal, and the order of rows: L U = a[order]."""
    index = jnp.arange(a.shape[0])

    def column(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        a, order = carry
        pivot = jnp.argmax(jnp.where(index >= k, jnp.abs(a[:, k]), -1.0))
        swap = jnp.where(index == k, pivot, jnp.where(index == pivot, k, index))
        a, order = a[swap], order[swap]
        share = jnp.where(index > k, a[:, k] / a[k, k], 0.0)
        a = a - share[:, None] * jnp.where(index > k, a[k], 0.0)[None]
        return a.at[:, k].set(jnp.where(index > k, share, a[:, k])), order

    return jax.lax.fori_loop(0, a.shape[0], column, (a, index))


def _substitute(t: Array, b: Array, *, lower: bool = False, unit: bool = False) -> Array:
    """Solution `[n, k]` of T x = b, with T the lower or the upper triangle of t `[n, n]`.

    unit: T has ones on its diagonal, whatever that of `t` is.
    """
    n = t.shape[0]
    index = jnp.arange(n)

    def row(step: Array, x: Array) -> Array:
        k = step if lower else n - 1 - step
        value = x[k] if unit else x[k] / t[k, k]
        left = index > k if lower else index < k
        return (x - jnp.where(left, t[:, k], 0.0)[:, None] * value[None]).at[k].set(value)

    return jax.lax.fori_loop(0, n, row, b)


def _columns(a: Array, b: Array) -> Array:
    """The right-hand sides as columns `[n, k]` of the matrix's type."""
    return jnp.asarray(b, a.dtype).reshape(len(b), -1)


def _check(a: Array, b: Array | None = None) -> None:
    if jnp.ndim(a) != 2 or a.shape[0] != a.shape[1] or not a.size:
        raise UsageError(f"a: must be one square matrix [n, n], got shape {jnp.shape(a)}; vmap over batches")
    if not jnp.issubdtype(a.dtype, jnp.floating):
        raise UsageError(f"a: must be of float32 or float64, got {a.dtype}")
    if b is not None and (jnp.ndim(b) not in (1, 2) or len(b) != len(a)):
        raise UsageError(f"b: must be [n] or [n, k] with n = {len(a)}, got shape {jnp.shape(b)}")
