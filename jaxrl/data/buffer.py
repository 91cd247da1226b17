"""Replay memory as a pytree: add, uniform samples, n-step views and sequences, all inside jit.

Legend: `C` capacity in rows, `M` rows added at once, `b` batch, `L` length of a window. A window takes every
`stride`-th row: `stride=N` where transitions `[T, N, ...]` of `unroll` are added flattened (`flatten_time`),
1 for a single environment. The capacity must be a multiple of the stride.

Give the buffer away (`donate_argnums`, or the carry of a scan): XLA copies a buffer that the caller keeps.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, PyTree, Transition, struct


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
        """The buffer after writing `rows`, leaves `[M, ...]` with `M <= C`, oldest first."""
        m = jax.tree.leaves(rows)[0].shape[0]
        if m > self.capacity:
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
        index = jax.random.randint(key, (batch,), 0, jnp.maximum(self.size, 1))
        return self._rows(index)

    def n_step(
        self, key: Key, batch: int, n: int, gamma: float | Array, stride: int = 1
    ) -> tuple[Transition, Array]:
        """`(Transition [b, ...], discount float[b])` of `n` steps, shorter where the episode ended before.

        reward: sum of `gamma^j r_j`; next_obs and the end flags: of the last step; discount: `gamma^steps`,
        to multiply the successor's value with (and by `~terminated`). Starts are uniform among those whose
        `n` rows lie on one side of the cursor. The rows must be `Transition`s, and at least
        `(n - 1) * stride + 1` of them written.
        """
        index = self._positions(self._starts(key, batch, n, stride), n, stride)
        window: Transition = self._rows(index)  # [b, n, ...]
        ended = jnp.cumsum(window.done, axis=1) > 0
        live = jnp.concatenate([jnp.ones((batch, 1), bool), ~ended[:, :-1]], axis=1)
        steps = live.sum(axis=1)
        powers = jnp.asarray(gamma, window.reward.dtype) ** jnp.arange(n)
        weights = jnp.where(live, powers[None], 0).reshape((batch, n) + (1,) * (window.reward.ndim - 2))
        first = jax.tree.map(lambda x: x[:, 0], window)
        last = jax.tree.map(lambda x: x[jnp.arange(batch), steps - 1], window)
        out = first._replace(
            reward=(weights * window.reward).sum(axis=1),
            next_obs=last.next_obs,
            terminated=last.terminated,
            truncated=last.truncated,
        )
        return out, jnp.asarray(gamma, window.reward.dtype) ** steps

    def sequences(self, key: Key, batch: int, length: int, stride: int = 1) -> tuple[Transition, Array]:
        """`(Transition [b, L, ...], valid bool[b])`, windows in one episode and on one side of the cursor.

        A done may only be the last row. Starts are uniform among all such windows, which costs O(C) per call;
        `valid` is False only where the buffer holds no such window.
        """
        start = self._in_window(length, stride)
        end = jnp.cumsum(start)  # [C]
        draw = jax.random.randint(key, (batch,), 0, jnp.maximum(end[-1], 1))
        index = jnp.searchsorted(end, draw, side="right")
        rows = self._rows(self._positions(index, length, stride))
        return rows, jnp.broadcast_to(end[-1] > 0, (batch,))

    def _rows(self, index: Array) -> PyTree:
        """Rows at positions `[...]` in `[0, C)`, which are not checked again."""
        return jax.tree.map(lambda x: x.at[index].get(mode="promise_in_bounds"), self.data)

    def _starts(self, key: Key, batch: int, length: int, stride: int) -> Array:
        """int32[b], uniform starts whose window does not contain the cursor."""
        self._check(length, stride)
        count = self.size - (length - 1) * stride
        age = jax.random.randint(key, (batch,), 0, jnp.maximum(count, 1))
        return (self.cursor - self.size + age) % self.capacity

    def _in_window(self, length: int, stride: int) -> Array:
        """bool[C], whether the window that starts at a row contains neither the cursor nor an inner done."""
        self._check(length, stride)
        age = (jnp.arange(self.capacity) - self.cursor + self.size) % self.capacity
        fits = age + (length - 1) * stride < self.size
        done = self.data.done.reshape(-1, stride)
        wrapped = jnp.concatenate([jnp.zeros_like(done[:1]), done, done[: length - 1]])
        count = jnp.cumsum(wrapped, axis=0, dtype=jnp.int32)
        inner = count[length - 1 : length - 1 + done.shape[0]] - count[: done.shape[0]]
        return fits & (inner.reshape(-1) == 0)

    def _positions(self, start: Array, length: int, stride: int) -> Array:
        return (start[:, None] + (stride * jnp.arange(length))[None]) % self.capacity

    def _check(self, length: int, stride: int) -> None:
        if length < 1 or stride < 1:
            raise UsageError(f"RingBuffer: window length and stride must be >= 1, got {length} and {stride}")
        if self.capacity % stride:
            raise UsageError(
                f"RingBuffer.capacity: {self.capacity} is not a multiple of the stride {stride}; round it up"
            )
        if (length - 1) * stride >= self.capacity:
            raise UsageError(
                f"RingBuffer.capacity: windows of {length} steps with stride {stride} need more than "
                f"{(length - 1) * stride} rows, it has {self.capacity}"
            )
