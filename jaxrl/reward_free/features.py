"""Features of value functions in linear mixture MDPs, P(x | s, a) = <phi(s, a, x), theta>, in two forms.

    phi_V(s, a) = sum_x phi(s, a, x) V(x),   so that   E[V(x) | s, a] = <phi_V(s, a), theta>

`Dense` holds any phi. `KnownSupport` is for tables whose successors are known and whose probabilities are
not: one feature per successor, so that Gram matrices fall into one small block per pair. The estimators
(`regression.py`) and the learners are written against the methods that both forms have.

Legend: `S` states, `A` actions, `P = S A` pairs (pair s A + a), `d` features, `B` blocks of `k` features each
(Dense: 1 block of d; KnownSupport: P blocks, one per pair, k the largest number of successors). Leading axes
`[...]` are batches. A parameter vector theta is `[B, k]`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxrl.core import linear
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, struct


@struct.dataclass
class Dense:
    """Any features: phi as rows, float`[P d, S]`, so that phi_V of all pairs is one product."""

    rows: Array
    n_actions: int = struct.field(pytree_node=False)
    dim: int = struct.field(pytree_node=False)

    @classmethod
    def of(cls, phi: Array) -> Dense:
        """The form of phi float`[S, A, S, d]`."""
        S, A, _, d = phi.shape
        return cls(jnp.swapaxes(phi, 2, 3).reshape(S * A * d, S), A, d)

    @property
    def n_states(self) -> int:
        """S."""
        return self.rows.shape[1]

    @property
    def blocks(self) -> tuple[int, int]:
        """(B, k) = (1, d)."""
        return 1, self.dim

    def phi_all(self, V: Array) -> Array:
        """phi_V at all pairs, `[..., P, k]`; V `[..., S]`."""
        return jnp.matmul(V, self.rows.T, precision="highest").reshape(*V.shape[:-1], -1, self.dim)

    def phi_at(self, V: Array, pair: Array) -> Array:
        """phi_V at one pair int32[], `[..., k]`; V `[..., S]`."""
        return jnp.matmul(V, self._by_pair()[pair].T, precision="highest")

    def block(self, pair: Array) -> Array:
        """int32[], the block that a pair int32[] has its features in: always 0."""
        return jnp.zeros_like(pair)

    def product(self, theta: Array, x: Array) -> Array:
        """<x, theta> at all pairs, `[..., P]`; x `[..., P, k]`, theta `[B, k]`."""
        return jnp.matmul(x, theta[0], precision="highest")

    def norm(self, inverse: Array, x: Array) -> Array:
        """|x| in the metric of an inverse `[B, k, k]` at all pairs, `[..., P]`; x `[..., P, k]`."""
        return root((jnp.matmul(x, inverse[0], precision="highest") * x).sum(-1))

    def prepared(self, theta: Array, inverse: Array) -> Array:
        """What `mean_and_norm` reads of theta `[1, d]` and inverse `[1, d, d]`, `[S, (d + 1) P]`.

        The norm is |L' x| with L L' the inverse: with L' in the features it needs no product per candidate.
        """
        maps = jnp.concatenate([linear.semidefinite_root(inverse[0]), theta[0][:, None]], 1)
        found = jnp.einsum("pkx,kj->xjp", self._by_pair(), maps, precision="highest")
        return found.reshape(self.n_states, -1)

    def mean_and_norm(self, prepared: Array, V: Array) -> tuple[Array, Array]:
        """<phi_V, theta> and |phi_V| in the metric of the inverse at all pairs, `[..., P]` each.

        prepared: what `prepared` made of theta and the inverse; V: `[..., S]`.
        """
        y = jnp.matmul(V, prepared, precision="highest").reshape(*V.shape[:-1], self.dim + 1, -1)
        return y[..., -1, :], root(jnp.square(y[..., :-1, :]).sum(-2))

    def kernel(self, theta: Array) -> Array:
        """Transition probabilities of an estimate theta `[B, k]`, `[P, S]`: negative entries become 0 and
        rows are divided by their sums, rows without any positive entry are uniform.
        """
        raw = jnp.einsum("pkx,k->px", self._by_pair(), theta[0], precision="highest")
        return _distribution(raw, jnp.ones_like(raw))

    def mean(self, kernel: Array, V: Array) -> Array:
        """E[V(x)] at all pairs under what `kernel` returned `[P, S]`, `[..., P]`; V `[..., S]`."""
        return jnp.matmul(V, kernel.T, precision="highest")

    def table(self, kernel: Array) -> Array:
        """What `kernel` returned as a table `[S, A, S]`."""
        return kernel.reshape(self.n_states, self.n_actions, self.n_states)

    def _by_pair(self) -> Array:
        return self.rows.reshape(-1, self.dim, self.n_states)


@struct.dataclass
class KnownSupport:
    """Tables with known successors: phi(s, a, x) = e_(s, a, x) / sqrt k, theta = sqrt k P.

    successors: int32`[P, k]`, padded. mask: float`[P, k]`, 1 where there is a successor and 0 in the padding,
    whose coordinates of theta count for nothing. d is the number of successors in all.
    """

    successors: Array
    mask: Array
    n_states: int = struct.field(pytree_node=False)

    @classmethod
    def of(cls, successors: Array, mask: Array) -> KnownSupport:
        """The form of successors int`[S, A, k]` and mask float`[S, A, k]`."""
        S, A, k = successors.shape
        return cls(
            jnp.asarray(successors, jnp.int32).reshape(S * A, k),
            mask.reshape(S * A, k),
            S,
        )

    @property
    def n_actions(self) -> int:
        """A."""
        return self.successors.shape[0] // self.n_states

    @property
    def dim(self) -> Array:
        """The number of features d, float[]."""
        return self.mask.sum()

    @property
    def blocks(self) -> tuple[int, int]:
        """(B, k) = (P, k)."""
        return self.successors.shape

    def phi_all(self, V: Array) -> Array:
        """phi_V at all pairs, `[..., P, k]`; V `[..., S]`."""
        x = V[..., self.successors]
        return x * _batched(self._scaled_mask(), x)

    def phi_at(self, V: Array, pair: Array) -> Array:
        """phi_V at one pair int32[], `[..., k]`; V `[..., S]`."""
        x = V[..., self.successors[pair]]
        return x * _batched(self._scaled_mask()[pair], x)

    def block(self, pair: Array) -> Array:
        """int32[], the block that a pair int32[] has its features in: its own."""
        return pair

    def product(self, theta: Array, x: Array) -> Array:
        """<x, theta> at all pairs, `[..., P]`; x `[..., P, k]`, theta `[B, k]`."""
        return (x * _batched(theta, x)).sum(-1)

    def norm(self, inverse: Array, x: Array) -> Array:
        """|x| in the metric of an inverse `[B, k, k]` at all pairs, `[..., P]`; x `[..., P, k]`."""
        row = x[..., None, :]
        return root(((_batched(inverse, row) * row).sum(-1) * x).sum(-1))

    def prepared(self, theta: Array, inverse: Array) -> tuple[Array, Array]:
        """What `mean_and_norm` reads of theta `[B, k]` and inverse `[B, k, k]`: both as they are."""
        return theta, inverse

    def mean_and_norm(self, prepared: tuple[Array, Array], V: Array) -> tuple[Array, Array]:
        """<phi_V, theta> and |phi_V| in the metric of the inverse at all pairs, `[..., P]` each.

        prepared: what `prepared` made of theta and the inverse; V: `[..., S]`.
        """
        x = self.phi_all(V)
        return self.product(prepared[0], x), self.norm(prepared[1], x)

    def kernel(self, theta: Array) -> Array:
        """Transition probabilities of an estimate theta `[B, k]`, `[P, k]`: negative entries become 0 and
        rows are divided by their sums, rows without any positive entry are uniform on the successors.
        """
        return _distribution(theta * self.mask, self.mask)

    def mean(self, kernel: Array, V: Array) -> Array:
        """E[V(x)] at all pairs under what `kernel` returned `[P, k]`, `[..., P]`; V `[..., S]`."""
        return self.product(kernel, V[..., self.successors])

    def table(self, kernel: Array) -> Array:
        """What `kernel` returned as a table `[S, A, S]`."""
        rows = jnp.zeros((self.blocks[0], self.n_states), kernel.dtype)
        pair = jnp.arange(self.blocks[0])[:, None]
        return rows.at[pair, self.successors].add(kernel).reshape(self.n_states, -1, self.n_states)

    def _scaled_mask(self) -> Array:
        return self.mask / jnp.sqrt(jnp.asarray(self.blocks[1], self.mask.dtype))


Form = Dense | KnownSupport


def form_of(mixture: Any) -> Form:
    """The form of a mixture's features: of its `phi`, or of its `successors` and `mask`.

    Raises UsageError for a mixture with other features, or with one parameter vector per step.
    """
    if hasattr(mixture, "successors"):
        return KnownSupport.of(mixture.successors, mixture.mask.astype(mixture.theta.dtype))
    if not hasattr(mixture, "phi"):
        raise UsageError(f"mixture: {type(mixture).__name__} has neither phi nor successors; pass a mixture")
    if mixture.theta.ndim != 1:
        raise UsageError(
            f"mixture.theta: shape {mixture.theta.shape} has one vector per step; these algorithms are for"
            " stationary transitions, pass theta [d]"
        )
    return Dense.of(mixture.phi)


def parameter_of(mixture: Any) -> Array:
    """The true parameter of a mixture in blocks, `[B, k]`; known in simulation, never read by a learner."""
    return mixture.theta.reshape(form_of(mixture).blocks)


def root(x: Array) -> Array:
    """The square root of max(x, 0) `[...]`, with derivative 0 at 0; NaN stays NaN."""
    zero = x <= 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, x)))


def _batched(x: Array, like: Array) -> Array:
    """`x` with as many axes as `like` `[..., *x.shape]` has."""
    return x.reshape((1,) * (like.ndim - x.ndim) + x.shape)


def _distribution(raw: Array, base: Array) -> Array:
    """Rows of max(raw, 0) divided by their sums, those of `base` where that is 0; `[P, n]` each."""
    positive = jnp.maximum(raw, 0)
    positive = jnp.where(positive.sum(-1, keepdims=True) > 0, positive, base)
    return positive / positive.sum(-1, keepdims=True)
