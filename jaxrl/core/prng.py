"""Key discipline: the only file that folds or splits in loops.

A key is either split (small fixed arity, unpacked at once) or folded with a counter, never both: since
threefry became partitionable `fold_in(k, i) == split(k, n)[i]`, so both on one key reuse randomness.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key


def check_key(key: Any, name: str = "key") -> None:
    """Raise `UsageError` that calls it `name` unless `key` is one typed key, which may be traced."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.shape != ():
        found = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array) else repr(key)
        raise UsageError(f"{name}: must be one typed key, such as jax.random.key(0), got {found:.80}")


def stream(key: Key, index: int | Array) -> Key:
    """Key of entry `index` (an update, a step, a member) of the stream that starts at `key`.

    Random access: the result depends on `key` and `index` alone, not on how many entries are drawn.
    """
    return jax.random.fold_in(key, index)


def streams(key: Key, n: int, offset: int | Array = 0) -> Array:
    """Keys `[n]` of entries `offset .. offset + n - 1`; a prefix of any longer call."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, offset + jnp.arange(n))


def step_keys(key: Key, t: int | Array, n: int, offset: int | Array = 0) -> tuple[Array, Array, Array]:
    """Keys `(act, env, reset)`, each `[n]`, of step `t` for environments `offset .. offset + n - 1`.

    Environment `i` draws the same numbers whatever `n` is and however the batch is sharded.
    """
    keys = jax.vmap(lambda k: jax.random.split(k, 3))(streams(stream(key, t), n, offset))
    return keys[:, 0], keys[:, 1], keys[:, 2]


def indices(key: Key, n: int, bound: Array) -> Array:
    """int32[n], uniform on `0 .. bound - 1` with replacement; the numbers of `jax.random.randint`.

    bound: int32[], at least 1. Each number is 64 random bits modulo the bound. Their two halves come from one
    call, which on a CPU takes two thirds of the time of the two calls in `jax.random.randint`.
    """
    high, low = jax.vmap(lambda half: jax.random.bits(half, (n,), jnp.uint32))(jax.random.split(key))
    bound = bound.astype(jnp.uint32)
    half = jnp.uint32(2**16) % bound
    weight = half * half % bound  # of the high bits: 2^32 modulo the bound
    return ((high % bound * weight + low % bound) % bound).astype(jnp.int32)


def permutation(key: Key, n: int) -> Array:
    """int32[n], a uniformly random order of `0 .. n - 1`.

    Faster on a CPU than `jax.random.permutation`, which sorts pairs: up to 2^20 entries the index fits beside
    12 random bits or more in one word, and words sort fast. Equal random bits keep their order, so there are
    as many rounds as make 3 log2(n) random bits an entry (up to 2^16 entries always two).
    """
    width = (n - 1).bit_length()
    if width > 20:
        return jax.random.permutation(key, n)

    def shuffle(key: Key) -> Array:
        words = (jax.random.bits(key, (n,), jnp.uint32) >> width << width) | jnp.arange(n, dtype=jnp.uint32)
        return (jnp.sort(words) & ((1 << width) - 1)).astype(jnp.int32)

    rounds = 2 if width <= 16 else -(-3 * width // (32 - width))
    first, *others = jax.random.split(key, rounds)
    order = shuffle(first)
    for other in others:
        order = order[shuffle(other)]
    return order
