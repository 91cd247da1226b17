"""Multi-target ridge: every transition regresses all S indicator targets 1[s' = x] at once.

    Gram = lambda I + sum_{s, a} n(s, a) sum_x phi(s, a, x) phi(s, a, x)',     b = sum n(s, a, x) phi(s, a, x)

over counts n of transitions, however they were collected. The targets do not depend on the data, so that
counts are enough, and offline data may enter any regression of the family this way. It uses each transition
fully and fits models well: a column of its own beside every method that regresses on values.

Legend: `S` states, `A` actions, `P = S A` pairs, `B` blocks of `k` features (`features.py`), `G` groups of
stages (`counts.py`).
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxrl.core.types import Array
from jaxrl.reward_free.features import Dense, Form
from jaxrl.reward_free.regression import VTRState, refactored, ridge


def multi_target_ridge(form: Form, counts: Array, lam: Array) -> VTRState:
    """The regression on counts `[G, S, A, S]`, with ridge weight lam float[]."""
    state, (gram, b) = ridge(form, lam), sums(form, counts)
    return refactored(state._replace(gram=state.gram + gram, b=state.b + b))


def sums(form: Form, counts: Array) -> tuple[Array, Array]:
    """What counts `[G, S, A, S]` add to a Gram matrix `[B, k, k]` and to its target `[B, k]`."""
    n = counts.sum(0).reshape(-1, counts.shape[-1]).astype(jnp.result_type(float))  # [P, S]
    visits = n.sum(-1)
    if isinstance(form, Dense):
        phi = form.rows.reshape(len(n), form.dim, form.n_states)
        gram = jnp.einsum("pix,p,pjx->ij", phi, visits, phi, precision="highest")[None]
        return gram, jnp.einsum("pix,px->i", phi, n, precision="highest")[None]
    k = form.blocks[1]
    weight = visits[:, None] * form.mask / k  # phi(s, a, x) has one entry, 1 / sqrt k
    gram = jnp.eye(k, dtype=n.dtype)[None] * weight[:, None, :]
    at_successors = jnp.take_along_axis(n, form.successors, axis=1)
    return gram, at_successors * form.mask / jnp.sqrt(jnp.asarray(k, n.dtype))


def kernel_of(form: Form, state: VTRState) -> Array:
    """The estimated kernel `[1, S, A, S]` for planning: clipped at 0, rows divided by their sums."""
    return form.table(form.kernel(state.theta))[None]
