"""Replay memory as a pytree, inside jit.

Legend: `C` capacity in rows, `M` rows added at once, `b` batch.

Give the buffer away (`donate_argnums`, or the carry of a scan): XLA copies a buffer that the caller keeps.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from jaxrl.core import prng
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, PyTree, struct


@struct.dataclass
class RingBuffer:
    """The latest `C` rows; once full, a new row replaces the oldest.

    data: leaves `[C, ...]`, zeros where nothing was written yet; cursor: int32[], where the next row goes;
    size: int32[], rows written so far, at most `C`.
    """

    data: PyTree
    cursor: Array
    size: Array

    @classmethod
    def zeros(cls, row: PyTree, capacity: int) -> RingBuffer:
        """An empty buffer for rows with the shapes and dtypes of `row` (arrays or `ShapeDtypeStruct`)."""
        if capacity < 1:
            raise UsageError(f"RingBuffer.capacity: must be >= 1, got {capacity}")
        data = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), row)
        return cls(data, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    @property
    def capacity(self) -> int:
        """`C`, static."""
        return jax.tree.leaves(self.data)[0].shape[0]

    def add(self, rows: PyTree) -> RingBuffer:
        """The buffer after writing `rows`, leaves `[M, ...]` with `1 <= M <= C`, oldest first.

        Raises `UsageError` for another number of rows, and `AssertionError` for other shapes or dtypes.
        """
        m = jax.tree.leaves(rows)[0].shape[0]
        if not 1 <= m <= self.capacity:
            raise UsageError(f"RingBuffer.add: {m} rows do not fit a capacity of {self.capacity}")
        expected = jax.tree.map(lambda x: jax.ShapeDtypeStruct((m, *x.shape[1:]), x.dtype), self.data)
        chex.assert_trees_all_equal_shapes_and_dtypes(rows, expected)
        # One scatter, which reads nothing of the buffer. A read beside the write, or a slice that XLA fuses
        # into the gather of a sample, makes it copy the whole buffer at every update of a scan. XLA turns a
        # scatter of one row into a slice, so a single row is written twice.
        index = (self.cursor + jnp.arange(max(m, 2)) % m) % self.capacity

        def write(data: Array, new: Array) -> Array:
            new = jnp.broadcast_to(new, (2, *new.shape[1:])) if m == 1 else new
            return data.at[index].set(new, unique_indices=m > 1, mode="promise_in_bounds")

        return RingBuffer(
            data=jax.tree.map(write, self.data, rows),
            cursor=(self.cursor + m) % self.capacity,
            size=jnp.minimum(self.size + m, self.capacity),
        )

    def sample(self, key: Key, batch: int) -> PyTree:
        """Rows `[b, ...]`, uniform with replacement among those written; zeros from an empty buffer."""
        index = prng.indices(key, batch, jnp.maximum(self.size, 1))
        return jax.tree.map(lambda x: x.at[index].get(mode="promise_in_bounds"), self.data)
