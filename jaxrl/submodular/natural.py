"""Natural policy gradients without a matrix: products with the Fisher information and conjugate gradients.

    (F + c I) x = g,   F = E[grad log pi (grad log pi)^T] = Hessian of E KL(pi || pi_theta) at pi

    step = s x,   s = min(1, sqrt(2 d / x^T F x)),   so that the KL of the step is about d at most

Source: Kakade 2001; Schulman et al. 2015 (1502.05477), appendix C.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrl.baselines.reinforce import Window, distribution
from jaxrl.core.types import Array, PyTree
from jaxrl.nets.actor_critic import ActorCritic


def fisher_product(nets: ActorCritic, params: PyTree, window: Window) -> Callable[[PyTree], PyTree]:
    """`v -> F v` for trees like `params`, averaged over the steps [T, N] of running episodes.

    What the policy does not depend on (a critic) has products 0.
    """
    now, _ = distribution(nets, params, window.x)
    now = jax.lax.stop_gradient(now)

    def divergence(params: PyTree) -> Array:
        there, _ = distribution(nets, params, window.x)
        return jnp.where(window.running, nets.head.kl(now, there), 0).sum() / window.running.sum()

    return lambda v: jax.jvp(jax.grad(divergence), (params,), (v,))[1]


def direction(
    nets: ActorCritic,
    params: PyTree,
    grads: PyTree,
    window: Window,
    *,
    iterations: int,
    damping: float | Array,
    trust: float | Array,
) -> PyTree:
    """Step along the natural gradient, of KL about `trust` at most; the critic's gradient stays as it is.

    grads: like `params`; iterations: of conjugate gradients; damping: float[], c above.
    """
    critic = {"critic": grads["critic"]}
    policy = {name: g for name, g in grads.items() if name != "critic"}
    product = fisher_product(nets, params, window)
    still = jax.tree.map(jnp.zeros_like, critic)

    def fisher(v: PyTree) -> PyTree:
        return {name: x for name, x in product(v | still).items() if name != "critic"}

    def damped(v: PyTree) -> PyTree:
        return jax.tree.map(lambda f, x: f + damping * x, fisher(v), v)

    x, _ = jax.scipy.sparse.linalg.cg(damped, policy, maxiter=iterations, tol=1e-6)
    length = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(fisher(x)), strict=True))
    scale = jnp.minimum(1.0, jnp.sqrt(2 * trust / jnp.maximum(length, 1e-12)))
    return jax.tree.map(lambda v: scale * v, x) | critic
