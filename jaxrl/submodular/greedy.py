"""Maximising a monotone submodular function over sets of k items: greedy, lazy, stochastic, partitioned.

Legend: `n` items of the ground set (a pytree `[n, ...]`), `k` items chosen, `B` blocks of `m` items. All are
pure; compile them with `jax.jit(..., static_argnums=...)` for F and the sizes. Ties go to the lowest index,
and a gain that is no number counts as infinite; no item is ever chosen twice. Items that F does not know are
refused where the ground set is not traced.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.sets.protocol import SetFunction, check_capacity, check_ground, gains

# a single gain is summed in another order than many at once, and ties would be broken differently
_BLOCK = 8
# items that are tied by the scores of a table, up to which gains of these alone are computed
_TIED = 16


class Selection(NamedTuple):
    """What a greedy maximiser chose.

    index: int32[k], positions in the ground set in the order of choice; gain: float[k]; stat: of the set;
    evaluations: int32[], how many marginal gains were computed.
    """

    index: Array
    gain: Array
    stat: PyTree
    evaluations: Array


def greedy(F: SetFunction, params: PyTree, ground: PyTree, k: int) -> Selection:
    """Adds the item of the largest gain, k times, each item at most once; n k gains.

    Where F keeps a table of the ground set (`LogDet`), gains of items that its scores rule out are not
    computed; the selection is the same. F(greedy) >= `greedy_bound(k)` F(best). Raises `UsageError` unless 1
    <= k <= n.

    Equation: nemhauser1978analysis [greedy heuristic]
    """
    n, ground = _check_sizes(F, ground, k)
    choose = _by_table if hasattr(F, "table") else _by_gains
    stat, index, gain = choose(F, params, ground, k, n)
    return Selection(index, gain, stat, jnp.full((), n * k, jnp.int32))


def lazy_greedy(F: SetFunction, params: PyTree, ground: PyTree, k: int) -> Selection:
    """The selection of `greedy`, ties included, computing by eights only gains that old ones do not rule out.

    Old gains bound new ones from above because F is submodular, up to rounding: where that lifts a gain above
    its own old value, another of the same value may be taken. Worth it where one gain is expensive and gains
    differ. Raises `UsageError` unless 1 <= k <= n.

    Equation: minoux1978accelerated [lazy evaluation]
    """
    n, ground = _check_sizes(F, ground, k)
    block = min(_BLOCK, n)

    def choose(carry: tuple[PyTree, Array, Array], _: None) -> tuple[tuple, tuple[Array, Array]]:
        stat, bound, evaluations = carry

        def refresh(inner: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            bound, old, best, count = inner
            # in single precision, which has a fast top_k; the best itself is always among them
            likely = jnp.where(old, bound, -jnp.inf).astype(jnp.float32)
            at = jax.lax.top_k(likely, block)[1].at[0].set(best)
            gain = gains(F, params, stat, tree_take(ground, at))
            bound = bound.at[at].set(_scores(gain, bound[at] > -jnp.inf))
            return bound, old.at[at].set(False), _argmax(bound), count + block

        # an item that is still the best with its new gain is the best of all
        first = (bound, jnp.ones(n, bool), _argmax(bound), evaluations)
        bound, _, i, evaluations = jax.lax.while_loop(lambda inner: inner[1][inner[2]], refresh, first)
        stat, gain = F.add(params, stat, tree_take(ground, i))
        return (stat, bound.at[i].set(-jnp.inf), evaluations), (i, gain)

    first = _scores(gains(F, params, F.init(params), ground), jnp.ones(n, bool))
    start = (F.init(params), first, jnp.full((), n, jnp.int32))
    (stat, _, evaluations), (index, gain) = jax.lax.scan(choose, start, None, length=k)
    return Selection(index, gain, stat, evaluations)


def stochastic_greedy(
    F: SetFunction, params: PyTree, ground: PyTree, k: int, key: Key, sample: int
) -> Selection:
    """Adds, k times, the best of `sample` items drawn without replacement from those not chosen yet.

    With `sample = sample_size(n, k, eps)` the expectation is at least (1 - 1/e - eps) of the best. Raises
    `UsageError` unless 1 <= k <= n and 1 <= sample <= n.

    Equation: mirzasoleiman2015lazier [stochastic greedy]
    """
    n, ground = _check_sizes(F, ground, k)
    _check_count("stochastic_greedy.sample", sample, n)

    def body(carry: tuple[PyTree, Array], t: Array) -> tuple[tuple[PyTree, Array], tuple[Array, Array]]:
        stat, free = carry
        score = jnp.where(free, jax.random.uniform(stream(key, t), (n,)), -1)
        drawn = jnp.sort(jax.lax.top_k(score, sample)[1])
        found = gains(F, params, stat, tree_take(ground, drawn))
        i = drawn[_argmax(_scores(found, free[drawn]))]
        stat, gain = F.add(params, stat, tree_take(ground, i))
        return (stat, free.at[i].set(False)), (i, gain)

    start = (F.init(params), jnp.ones(n, bool))
    (stat, _), (index, gain) = jax.lax.scan(body, start, jnp.arange(k))
    return Selection(index, gain, stat, jnp.full((), sample * k, jnp.int32))


def partition_greedy(F: SetFunction, params: PyTree, ground: PyTree, blocks: Array) -> Selection:
    """One item from each block in turn, the one of the largest gain; `blocks` int32[B, m] of positions.

    F(result) >= `partition_bound(curvature)` F(best choice of one item per block). Raises `UsageError` for
    another shape, for blocks or items of which there are none, for positions that are no integers, for more
    blocks than F can hold, and, where `blocks` is not traced, for positions outside the ground set or in two
    blocks.
    """
    n, blocks = check_ground("ground", F, ground), _check_blocks(blocks)
    check_capacity("partition_greedy.blocks", F, len(blocks))
    if not isinstance(blocks, jax.core.Tracer):
        positions = np.ravel(blocks)
        if positions.min() < 0 or positions.max() >= n:
            raise UsageError(f"partition_greedy.blocks: positions must lie in 0 .. {n - 1}")
        if len(np.unique(positions)) < len(positions):
            raise UsageError("partition_greedy.blocks: a position is in two blocks; blocks must not overlap")
    ground = jax.tree.map(jnp.asarray, ground)

    def body(stat: PyTree, block: Array) -> tuple[PyTree, tuple[Array, Array]]:
        found = gains(F, params, stat, tree_take(ground, block))
        i = block[_argmax(_scores(found, jnp.ones(len(block), bool)))]
        stat, gain = F.add(params, stat, tree_take(ground, i))
        return stat, (i, gain)

    stat, (index, gain) = jax.lax.scan(body, F.init(params), jnp.asarray(blocks, jnp.int32))
    return Selection(index, gain, stat, jnp.full((), blocks.size, jnp.int32))


# --- choices ----------------------------------------------------------------------------------------------


def _by_gains(F: Any, params: PyTree, ground: PyTree, k: int, n: int) -> tuple[PyTree, Array, Array]:
    """`(statistic, index int32[k], gain float[k])`: the gain of every item, before every choice."""

    def body(carry: tuple[PyTree, Array], _: None) -> tuple[tuple[PyTree, Array], tuple[Array, Array]]:
        stat, free = carry
        i = _argmax(_scores(gains(F, params, stat, ground), free))
        stat, gain = F.add(params, stat, tree_take(ground, i))
        return (stat, free.at[i].set(False)), (i, gain)

    start = (F.init(params), jnp.ones(n, bool))
    (stat, _), (index, gain) = jax.lax.scan(body, start, None, length=k)
    return stat, index, gain


def _by_table(F: Any, params: PyTree, ground: PyTree, k: int, n: int) -> tuple[PyTree, Array, Array]:
    """The choices of `_by_gains`, where F keeps scores that order the items like their gains up to a slack.

    An item that leads by more than the slack is chosen. Otherwise gains decide among those within it, because
    rounding orders equal scores and equal gains differently.
    """
    few = min(_TIED, n)

    def body(carry: tuple[PyTree, PyTree, Array], _: None) -> tuple[tuple, tuple[Array, Array]]:
        stat, table, free = carry
        score, slack = F.table_scores(params, stat, table)
        score = jnp.where(free, score, -jnp.inf)
        near = score >= jnp.max(score) - slack

        def settle() -> Array:
            at = jnp.sort(jax.lax.top_k(jnp.where(near, score, -jnp.inf), few)[1])
            return at[_argmax(_scores(gains(F, params, stat, tree_take(ground, at)), near[at]))]

        def compare_all() -> Array:
            return _argmax(_scores(gains(F, params, stat, ground), free))

        # no score is near the largest where scores are no numbers
        count = jnp.sum(near)
        way = jnp.where(count == 1, 0, jnp.where((count > 1) & (count <= few), 1, 2))
        i = jax.lax.switch(way, (lambda: _argmax(score), settle, compare_all))
        table = F.table_add(params, stat, table, ground, i)
        stat, gain = F.add(params, stat, tree_take(ground, i))
        return (stat, table, free.at[i].set(False)), (i, gain)

    start = (F.init(params), F.table(params, ground), jnp.ones(n, bool))
    (stat, _, _), (index, gain) = jax.lax.scan(body, start, None, length=k)
    return stat, index, gain


def _scores(gain: Array, free: Array) -> Array:
    """float[n], the `gain` of items that are `free` bool[n], never below the -inf of those that are not."""
    gain = jnp.maximum(jnp.where(jnp.isnan(gain), jnp.inf, gain), jnp.finfo(gain.dtype).min)
    return jnp.where(free, gain, -jnp.inf)


# --- guarantees -------------------------------------------------------------------------------------------


def greedy_bound(k: int, c: float = 1.0) -> float:
    """The share of the best that greedy choice of k items reaches: (1 - (1 - c/k)^k) / c >= (1 - e^-c) / c.

    c: total curvature, 1 where it is not known; 1 for modular functions (c = 0). Raises `UsageError` for
    k < 1 and for c outside [0, 1].

    Equation: conforti1984submodular [uniform matroid]
    """
    if k < 1:
        raise UsageError(f"greedy_bound.k: must be >= 1, got {k}")
    _check_curvature("greedy_bound.c", c)
    if c == 0 or c == k:  # the second at k = c = 1
        return 1.0
    return -math.expm1(k * math.log1p(-c / k)) / c  # exact for small c, too, where (1 - c / k)^k rounds to 1


def partition_bound(c: float = 1.0) -> float:
    """The share of the best that `partition_greedy` reaches: 1 / (1 + c).

    Raises `UsageError` for c outside [0, 1].

    Equation: conforti1984submodular [matroid]
    """
    _check_curvature("partition_bound.c", c)
    return 1 / (1 + c)


def sample_size(n: int, k: int, eps: float) -> int:
    """ceil(n / k log(1 / eps)), at most n: the sample of `stochastic_greedy` for a loss of `eps`.

    Raises `UsageError` unless 1 <= k <= n and 0 < eps < 1.
    """
    if not 1 <= k <= n:
        raise UsageError(f"sample_size.k: must lie in 1 .. n = {n}, got {k}")
    if not 0 < eps < 1:
        raise UsageError(f"sample_size.eps: must lie in (0, 1), got {eps}")
    return min(n, int(np.ceil(n / k * np.log(1 / eps))))


def _argmax(x: Array) -> Array:
    """int32[], the first largest entry of `x` float[n]; in two passes that vectorise, unlike jnp.argmax."""
    n = x.shape[0]
    return jnp.min(jnp.where(x == jnp.max(x), jnp.arange(n, dtype=jnp.int32), n - 1))


def _check_curvature(name: str, c: float) -> None:
    if not 0 <= c <= 1:
        raise UsageError(f"{name}: a curvature lies in [0, 1], got {c}")


def _check_sizes(F: SetFunction, ground: PyTree, k: int) -> tuple[int, PyTree]:
    """The number n of items, and the ground set as arrays."""
    n = check_ground("ground", F, ground)
    _check_count("k", k, n)
    check_capacity("k", F, k)
    return n, jax.tree.map(jnp.asarray, ground)


def _check_count(name: str, count: int, n: int) -> None:
    if not isinstance(count, int | np.integer) or not 1 <= count <= n:
        raise UsageError(f"{name}: must be an int in 1 .. n = {n} items, got {count!r}")


def _check_blocks(blocks: Any) -> Any:
    """Positions `[B, m]`, both sizes at least 1: an array of integers, traced if `blocks` is."""
    if not isinstance(blocks, jax.Array):
        try:
            blocks = np.asarray(blocks)
        except ValueError as error:
            raise UsageError("partition_greedy.blocks: must all be of one length m") from error
    if blocks.ndim != 2 or 0 in blocks.shape:
        raise UsageError(
            f"partition_greedy.blocks: shape {blocks.shape} is not [B, m] with at least one block and item"
        )
    if not np.issubdtype(blocks.dtype, np.integer):
        raise UsageError(f"partition_greedy.blocks: positions must be integers, got {blocks.dtype}")
    return blocks
