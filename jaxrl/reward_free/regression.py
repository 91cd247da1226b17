"""Value-targeted ridge regression: estimates of theta from targets V(s') with features phi_V(s, a).

    Gram = lambda I + sum w x x',   b = sum w x y,   theta = Gram^-1 b,   x = phi_V(s, a),  y = V(s')

One record serves all learners of the family, dense features and blocks (`features.py`), one regression or
a batch of them, [2, M] for two series of M orders. Inverses are kept by rank-one updates and made anew from
the Gram matrices by `refactored`, which stands where a plan is made.

Legend: `B` blocks of `k` features; leading axes `[...]` are regressions side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core import linear
from jaxrl.core.types import Array
from jaxrl.reward_free.features import Dense, Form

PIN_WEIGHT = 1e6  # of the noise-free identities <phi_1(s, a), theta> = 1


class VTRState(NamedTuple):
    """Regressions side by side.

    gram: `[..., B, k, k]`, Gram matrix with the ridge term. b: `[..., B, k]`. inverse: `[..., B, k, k]` of
    `gram`. log_det: `[...]` of the whole Gram matrix.
    """

    gram: Array
    b: Array
    inverse: Array
    log_det: Array

    @property
    def theta(self) -> Array:
        """The estimates, `[..., B, k]`."""
        return jnp.einsum("...ij,...j->...i", self.inverse, self.b, precision="highest")


def ridge(form: Form, lam: Array, batch: tuple[int, ...] = (), *, pin: bool = False) -> VTRState:
    """Regressions without data, Gram = lam I with lam float[].

    pin: also tells them that probabilities sum to 1, which every theta of a mixture satisfies without noise:
    the identity <phi_1(s, a), theta> = 1 enters with weight `PIN_WEIGHT`, once per distinct phi_1.
    """
    B, k = form.blocks
    lam = jnp.asarray(lam, _dtype(form))
    gram = jnp.broadcast_to(lam * jnp.eye(k, dtype=lam.dtype)[None], (B, k, k))
    b = jnp.zeros((B, k), lam.dtype)
    if pin:
        one = form.phi_all(jnp.ones(form.n_states, lam.dtype))
        once = _first_of_equals(one) if isinstance(form, Dense) else jnp.ones(B, lam.dtype)
        one = (PIN_WEIGHT**0.5 * once[:, None] * one).reshape(B, -1, k)
        gram = gram + jnp.einsum("bpi,bpj->bij", one, one, precision="highest")
        b = b + PIN_WEIGHT**0.5 * one.sum(1)
    state = refactored(VTRState(gram, b, gram, jnp.zeros((), lam.dtype)))
    return jax.tree.map(lambda leaf: jnp.tile(leaf, batch + (1,) * leaf.ndim), state)


def rank_one(state: VTRState, block: Array, x: Array, y: Array, weight: Array) -> VTRState:
    """The state after one observation y `[...]` of features x `[..., k]` in `block` int32[], weight `[...]`.

    Sherman-Morrison for the inverse, log(1 + w x' Gram^-1 x) for the log determinant.
    """
    sx = (state.inverse[..., block, :, :] * x[..., None, :]).sum(-1)
    square = (sx * x).sum(-1)
    shrink = weight / (1 + weight * square)
    outer = x[..., :, None] * (weight[..., None] * x)[..., None, :]
    lost = sx[..., :, None] * (shrink[..., None] * sx)[..., None, :]
    return VTRState(
        state.gram.at[..., block, :, :].add(outer),
        state.b.at[..., block, :].add((weight * y)[..., None] * x),
        state.inverse.at[..., block, :, :].add(-lost),
        state.log_det + jnp.log1p(weight * square),
    )


def refactored(state: VTRState) -> VTRState:
    """The state with inverse and log determinant computed from its Gram matrices.

    Not finite where a Gram matrix is not positive definite to rounding.
    """
    shape = state.gram.shape
    inverse, log_det = jax.vmap(linear.inverse_positive)(state.gram.reshape(-1, *shape[-2:]))
    return state._replace(inverse=inverse.reshape(shape), log_det=log_det.reshape(shape[:-2]).sum(-1))


def merged(state: VTRState, lam: Array) -> VTRState:
    """One regression on the data of all regressions side by side, with one ridge term lam float[]."""
    axes = tuple(range(state.log_det.ndim))
    count = state.log_det.size
    eye = jnp.eye(state.b.shape[-1], dtype=state.b.dtype)
    gram = state.gram.sum(axes) - (count - 1) * lam * eye[None]
    return refactored(VTRState(gram, state.b.sum(axes), gram, state.log_det.sum()))


def distance(gram: Array, difference: Array) -> Array:
    """|difference| in the metric of gram, `[...]`; gram `[..., B, k, k]`, difference `[..., B, k]`."""
    image = jnp.einsum("...ij,...j->...i", gram, difference, precision="highest")
    square = (image * difference).sum((-2, -1))
    return jnp.sqrt(jnp.maximum(square, 0))


def _first_of_equals(x: Array) -> Array:
    """1 for each row of x `[P, k]` that is equal to no row before it, else 0; `[P]`."""
    near = 10 * jnp.finfo(x.dtype).eps * jnp.abs(x).max()
    index = jnp.arange(len(x))
    seen = jax.lax.map(lambda i: jnp.any((jnp.abs(x - x[i][None]).max(-1) <= near) & (index < i)), index)
    return (~seen).astype(x.dtype)


def _dtype(form: Form) -> jnp.dtype:
    return (form.rows if isinstance(form, Dense) else form.mask).dtype
