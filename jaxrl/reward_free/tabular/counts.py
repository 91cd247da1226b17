"""Counts of transitions, the state that all tabular explorers share, and the kernel that they estimate.

    n(s, a) = sum_x n(s, a, x),     p^(x | s, a) = n(s, a, x) / n(s, a)

Counts are pooled over the stages of an episode, or kept per stage.

Legend: `S` states, `A` actions, `H` stages of an episode, `G` groups of stages: 1 where counts are pooled, H
where each stage has its own.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from jaxrl.core.types import Array

Pooling = Literal["pooled", "per stage"]


def no_counts(pooling: Pooling, size: int, S: int, A: int) -> Array:
    """Zeros int32`[G, S, A, S]` for episodes of up to `size` stages."""
    return jnp.zeros((1 if pooling == "pooled" else size, S, A, S), jnp.int32)


def recorded(counts: Array, states: Array, actions: Array, horizon: Array) -> Array:
    """`counts` `[G, S, A, S]` after an episode: states int32`[H + 1]`, actions int32`[H]`, of which the first
    `horizon` int32[] stages were played.
    """
    stage = jnp.arange(actions.shape[0])
    played = (stage < horizon).astype(counts.dtype)
    return counts.at[jnp.minimum(stage, len(counts) - 1), states[:-1], actions, states[1:]].add(played)


def visits(counts: Array) -> Array:
    """n(s, a), float`[G, S, A]`, of counts `[G, S, A, S]`."""
    return counts.sum(-1).astype(jnp.result_type(float))


def frequencies(counts: Array) -> Array:
    """p^ float`[G, S, A, S]` of counts `[G, S, A, S]`; rows of pairs that were never visited are 0."""
    return counts / jnp.maximum(visits(counts), 1)[..., None]


def kernel(counts: Array) -> Array:
    """p^ float`[G, S, A, S]` of counts `[G, S, A, S]`; rows of pairs that were never visited are uniform."""
    unseen = visits(counts)[..., None] == 0
    return jnp.where(unseen, 1 / counts.shape[-1], frequencies(counts))


def of_stage(table: Array, h: Array) -> Array:
    """The entry of stage h int32[] in a table `[G, ...]`."""
    return table[jnp.minimum(h, len(table) - 1)]
