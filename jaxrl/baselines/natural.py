"""Natural gradients without a matrix: products with the Fisher information and conjugate gradients.

    (F + c I) x = g,   F = Hessian at theta of a divergence from theta, such as E KL(pi_theta || pi)

    step = s x,   s = min(1, sqrt(2 d / x^T F x)),   so that the divergence of the step is about d at most

For the mean of KL(pi_theta || pi), F is E[grad log pi (grad log pi)^T], the Fisher information.

Source: Kakade 2001; Schulman et al. 2015 (1502.05477), appendix C.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, PyTree

Product = Callable[[PyTree], PyTree]


def fisher_product(divergence: Callable[[PyTree], Array], params: PyTree) -> Product:
    """`v -> F v` for trees like `params`, with F the Hessian of `divergence(params) -> float[]` at `params`.

    The divergence is least at `params`, where it is 0: from a copy that is kept there by `stop_gradient`.
    """
    return lambda v: jax.jvp(jax.grad(divergence), (params,), (v,))[1]


def conjugate_gradients(
    product: Product, b: PyTree, *, iterations: int, damping: float | Array = 0.0
) -> PyTree:
    """`x` of (F + damping I) x = b, by at most `iterations` steps from 0, until the residual is 1e-6 of b.

    product: `v -> F v`, symmetric and positive semi-definite; b, x: trees alike.
    """

    def damped(v: PyTree) -> PyTree:
        return jax.tree.map(lambda f, x: f + damping * x, product(v), v)

    return jax.scipy.sparse.linalg.cg(damped, b, maxiter=iterations, tol=1e-6)[0]


def direction(
    divergence: Callable[[PyTree], Array],
    params: PyTree,
    grads: PyTree,
    *,
    iterations: int,
    damping: float | Array,
    trust: float | Array,
) -> PyTree:
    """Step along the natural gradient, of a divergence of about `trust` at most.

    divergence: see `fisher_product`; grads: like `params`; iterations: of conjugate gradients; damping:
    float[], c above, > 0 unless F is known to be positive definite: where F is 0 along a gradient, nothing
    else bounds the step.
    """
    product = fisher_product(divergence, params)
    x = conjugate_gradients(product, grads, iterations=iterations, damping=damping)
    length = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(product(x)), strict=True))
    scale = jnp.minimum(1.0, jnp.sqrt(2 * trust / jnp.maximum(length, 1e-12)))
    return jax.tree.map(lambda v: scale * v, x)
