"""Sums over the episodes that ended inside an unroll; never arrays over time."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, Mean, struct


@struct.dataclass
class EpisodeStats:
    """Sums over completed episodes.

    count: float32[]; returns, squares, discounted: float[] or float[m]; lengths, truncated: float32[].
    Windows with automatic resets favour short episodes: label the averages `train/`, and take numbers for
    tables from `evaluate`.
    """

    count: Array
    returns: Array
    squares: Array
    discounted: Array
    lengths: Array
    truncated: Array

    @classmethod
    def zeros(cls, reward: jax.ShapeDtypeStruct) -> EpisodeStats:
        """Empty sums for rewards of one environment's shape and dtype."""
        scalar, vector = jnp.zeros((), jnp.float32), jnp.zeros(reward.shape, reward.dtype)
        return cls(scalar, vector, vector, vector, scalar, scalar)

    def add(
        self, done: Array, returns: Array, discounted: Array, lengths: Array, truncated: Array
    ) -> EpisodeStats:
        """Adds the environments `[N]` that are `done`; `returns`, `discounted` are `[N]` or `[N, m]`."""
        mask = done.reshape(done.shape + (1,) * (returns.ndim - 1))
        kept = jnp.where(mask, returns, 0)
        return EpisodeStats(
            count=self.count + jnp.sum(done, dtype=jnp.float32),
            returns=self.returns + kept.sum(0),
            squares=self.squares + (kept * kept).sum(0),
            discounted=self.discounted + jnp.where(mask, discounted, 0).sum(0),
            lengths=self.lengths + jnp.sum(jnp.where(done, lengths, 0), dtype=jnp.float32),
            truncated=self.truncated + jnp.sum(truncated, dtype=jnp.float32),
        )

    def metrics(self) -> dict[str, Mean]:
        """Window averages, labelled `train/`."""
        return {
            "train/return": Mean(self.returns, self.count),
            "train/discounted_return": Mean(self.discounted, self.count),
            "train/length": Mean(self.lengths, self.count),
            "train/truncated": Mean(self.truncated, self.count),
        }
