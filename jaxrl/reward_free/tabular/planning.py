"""Backward induction on tables: indices that guide exploration, and policies for rewards that come later.

Legend: `S` states, `A` actions, `H` the largest number of stages, `G` groups of stages (`counts.py`), `n`
rewards. The number of stages that count, `horizon` int32[], is a trip count: a member of a population costs
as many stages as it has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array
from jaxrl.reward_free.tabular.counts import of_stage


def backward(
    size: int,
    horizon: Array,
    S: int,
    A: int,
    stage: Callable[[Array, Array], Array],
    cap: Array = jnp.inf,
    last: Array | None = None,
) -> tuple[Array, Array]:
    """Indices `[H, S, A]` and values of the first stage `[S]`; `last` `[S]` (default 0) are those at the end.

    stage: `(h, V [S]) -> Q [S, A]`, h = horizon - 1 .. 0. cap: float`[]`, or `[H]` by stage; V = min{cap,
    max_a Q}, infinite for none. Stages from `horizon` int32[] on have index 0.
    """
    dtype = jnp.result_type(float)
    caps = jnp.broadcast_to(jnp.asarray(cap, dtype), (size,))
    last = jnp.zeros(S, dtype) if last is None else last

    def back(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        index, V = carry
        h = horizon - 1 - i
        Q = stage(h, V)
        return index.at[h].set(Q), jnp.minimum(Q.max(-1), caps[h])

    return jax.lax.fori_loop(0, horizon, back, (jnp.zeros((size, S, A), dtype), last))


def expected(kernel: Array, h: Array, V: Array) -> Array:
    """sum_x p(x | s, a) V(x) `[S, A]`, at stage h int32[] of a kernel `[G, S, A, S]`; V `[S]`."""
    return jnp.matmul(of_stage(kernel, h), V, precision="highest")


def best(index: Array) -> Array:
    """bool`[..., A]`, the actions that are best in an index `[..., A]`; rounding does not decide."""
    top = index.max(-1, keepdims=True)
    return index >= top - 32 * jnp.finfo(index.dtype).eps * jnp.maximum(1, jnp.abs(top))


def pick(index: Array, noise: Array) -> Array:
    """int32[], one of the best actions of an index `[A]`, uniformly; noise: uniform numbers float`[A]`."""
    return jnp.argmax(jnp.where(best(index), noise, -1)).astype(jnp.int32)


@jax.jit
def plan(kernel: Array, rewards: Array, horizon: Array, gamma: Array = 1.0) -> tuple[Array, Array]:
    """Policies int32`[n, H, S]` and values of the first stage `[n, S]`, optimal for rewards `[n, H, S, A]`.

    There is no bonus: the kernel `[G, S, A, S]` is taken as it is. The lowest best action is chosen.
    """
    size, S, A = rewards.shape[1:]

    def one(R: Array) -> tuple[Array, Array]:
        stage = partial(_discounted, kernel, R, gamma)
        index, V = backward(size, horizon, S, A, stage)
        return jnp.argmax(best(index), -1).astype(jnp.int32), V

    return jax.vmap(one)(rewards)


@jax.jit
def evaluate(kernel: Array, rewards: Array, policies: Array, horizon: Array, gamma: Array = 1.0) -> Array:
    """Values of the first stage `[n, S]` of policies int32`[n, H, S]` for rewards `[n, H, S, A]`.

    kernel: `[G, S, A, S]`, for example the true one.
    """
    size, S, A = rewards.shape[1:]

    def one(R: Array, policy: Array) -> Array:
        def stage(h: Array, V: Array) -> Array:
            Q = _discounted(kernel, R, gamma, h, V)
            chosen = jnp.take_along_axis(Q, policy[h][:, None], axis=-1)
            return jnp.broadcast_to(chosen, Q.shape)

        return backward(size, horizon, S, A, stage)[1]

    return jax.vmap(one)(rewards, policies)


def _discounted(kernel: Array, R: Array, gamma: Array, h: Array, V: Array) -> Array:
    return R[h] + gamma * expected(kernel, h, V)
