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
    return with_counts(form, ridge(form, lam), counts)


def with_counts(form: Form, state: VTRState, counts: Array) -> VTRState:
    """The regressions of `state` with the transitions of counts `[G, S, A, S]` added to each of them."""
    n = counts.sum(0).reshape(-1, counts.shape[-1]).astype(state.b.dtype)  # [P, S]
    visits = n.sum(-1)
    if isinstance(form, Dense):
        phi = form.rows.reshape(len(n), form.dim, form.n_states)
        gram = jnp.einsum("pix,p,pjx->ij", phi, visits, phi, precision="highest")[None]
        b = jnp.einsum("pix,px->i", phi, n, precision="highest")[None]
    else:
        weight = form.mask / form.blocks[1]  # phi(s, a, x) has one entry, 1 / sqrt k
        gram = jnp.eye(form.blocks[1], dtype=n.dtype)[None] * (visits[:, None] * weight)[:, None, :]
        at_successors = jnp.take_along_axis(n, form.successors, axis=1)
        b = at_successors * form.mask / jnp.sqrt(jnp.asarray(form.blocks[1], n.dtype))
    return refactored(state._replace(gram=state.gram + gram, b=state.b + b))


def kernel_of(form: Form, state: VTRState) -> Array:
    """The estimated kernel `[1, S, A, S]` for planning: clipped at 0, rows divided by their sums."""
    return form.table(form.kernel(state.theta))[None]
