"""Replay memory as a pytree, inside jit.

Legend: `C` capacity in rows, `M` rows added at once, `b` batch, `w` numbers of one dtype in a row.

Give the buffer away (`donate_argnums`, or the carry of a scan): XLA copies a buffer that the caller keeps.
"""

from __future__ import annotations

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp

from jaxrl.core import prng
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, PyTree, struct

Layout = tuple[Any, tuple[tuple[str, tuple[int, ...]], ...]]


@struct.dataclass
class RingBuffer:
    """The latest `C` rows; once full, a new row replaces the oldest.

    words: dtype -> `[C, w]`, the leaves of that dtype side by side, zeros where nothing was written yet: what
    is written and drawn together lies together. cursor: int32[], where the next row goes; size: int32[], rows
    written so far, at most `C`. layout: structure of a row, and dtype and shape of its leaves; static.
    """

    words: dict[str, Array]
    cursor: Array
    size: Array
    layout: Layout = struct.field(pytree_node=False)

    @classmethod
    def zeros(cls, row: PyTree, capacity: int) -> RingBuffer:
        """An empty buffer for rows with the shapes and dtypes of `row` (arrays or `ShapeDtypeStruct`)."""
        if capacity < 1:
            raise UsageError(f"RingBuffer.capacity: must be >= 1, got {capacity}")
        leaves, tree = jax.tree.flatten(row)
        layout = (tree, tuple((str(x.dtype), tuple(x.shape)) for x in leaves))
        rows = jax.tree.map(lambda x: jax.ShapeDtypeStruct((capacity, *x.shape), x.dtype), row)
        words = {k: jnp.zeros(x.shape, x.dtype) for k, x in jax.eval_shape(_joined, rows).items()}
        return cls(words, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32), layout)

    @property
    def capacity(self) -> int:
        """`C`, static."""
        return next(iter(self.words.values())).shape[0]

    @property
    def data(self) -> PyTree:
        """All rows as they were given, leaves `[C, ...]`; a copy."""
        return _parted(self.words, self.layout)

    def add(self, rows: PyTree) -> RingBuffer:
        """The buffer after writing `rows`, leaves `[M, ...]` with `1 <= M <= C`, oldest first.

        Raises `UsageError` for another number of rows, and `AssertionError` for other shapes or dtypes.
        """
        m = jax.tree.leaves(rows)[0].shape[0]
        if not 1 <= m <= self.capacity:
            raise UsageError(f"RingBuffer.add: {m} rows do not fit a capacity of {self.capacity}")
        tree, kinds = self.layout
        expected = tree.unflatten([jax.ShapeDtypeStruct((m, *shape), dtype) for dtype, shape in kinds])
        chex.assert_trees_all_equal_shapes_and_dtypes(rows, expected)
        # One scatter, which reads nothing of the buffer. A read beside the write, or a slice that XLA fuses
        # into the gather of a sample, makes it copy the whole buffer at every update of a scan. XLA turns a
        # scatter of one row into a slice, so a single row is written twice.
        index = (self.cursor + jnp.arange(max(m, 2)) % m) % self.capacity

        def write(data: Array, new: Array) -> Array:
            new = jnp.broadcast_to(new, (2, *new.shape[1:])) if m == 1 else new
            return data.at[index].set(new, unique_indices=m > 1, mode="promise_in_bounds")

        return self.replace(
            words=jax.tree.map(write, self.words, _joined(rows)),
            cursor=(self.cursor + m) % self.capacity,
            size=jnp.minimum(self.size + m, self.capacity),
        )

    def sample(self, key: Key, batch: int) -> PyTree:
        """Rows `[b, ...]`, uniform with replacement among those written; zeros from an empty buffer."""
        index = prng.indices(key, batch, jnp.maximum(self.size, 1))
        drawn = jax.tree.map(lambda x: x.at[index].get(mode="promise_in_bounds"), self.words)
        return _parted(drawn, self.layout)


def _joined(rows: PyTree) -> dict[str, Array]:
    """Leaves `[n, ...]` as one array `[n, w]` per dtype."""
    groups: dict[str, list[Array]] = {}
    for x in jax.tree.leaves(rows):
        groups.setdefault(str(x.dtype), []).append(x.reshape(x.shape[0], math.prod(x.shape[1:])))
    return {dtype: jnp.concatenate(parts, axis=1) for dtype, parts in groups.items()}


def _parted(words: dict[str, Array], layout: Layout) -> PyTree:
    """Inverse of `_joined`, for arrays `[..., w]`."""
    tree, kinds = layout
    used, leaves = dict.fromkeys(words, 0), []
    for dtype, shape in kinds:
        begin = used[dtype]
        used[dtype] = begin + math.prod(shape)
        part = words[dtype][..., begin : used[dtype]]
        leaves.append(part.reshape(*part.shape[:-1], *shape))
    return tree.unflatten(leaves)
