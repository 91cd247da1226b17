"""Whole episodes of a `Dataset`: returns, selections, mixtures; on the host.

Legend: `n` rows, `E` episodes, in the order of the rows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import PyTree
from jaxrl.data.dataset import Dataset, Meta, count_steps

JUMP = 1e-6  # distance of observations that are not the same, from the code of IQL


def episode_returns(data: Dataset) -> np.ndarray:
    """float64[E], or [E, m] for vector rewards: sums of rewards.

    Masked rows do not count, and an episode of nothing else is left out.
    """
    reward = np.asarray(data.reward, np.float64)
    starts = np.flatnonzero(np.append(True, np.diff(np.asarray(data.episode)) != 0))
    if data.mask is None:
        return np.add.reduceat(reward, starts, axis=0)
    live = np.asarray(data.mask) > 0
    returns = np.add.reduceat(reward * live.reshape((-1,) + (1,) * (reward.ndim - 1)), starts, axis=0)
    return returns[np.logical_or.reduceat(live, starts)]


def normalise_returns(data: Dataset, scale: float = 1000.0) -> Dataset:
    """Rewards times `scale / (largest - smallest return)`, the convention for locomotion (IQL, 2110.06169).

    Raises `UsageError` for vector rewards, and where all episodes have the same return.
    """
    if data.reward.ndim != 1:
        raise UsageError(f"data.reward: must be scalar per row, got {data.reward.shape}; scalarise it first")
    spread = np.ptp(episode_returns(data))
    if not spread > 0:
        raise UsageError("data: all episodes have the same return, so returns have no range to divide by")
    factor = float(scale / spread)
    return data.replace(reward=data.reward * factor, meta=(*data.meta, ("reward_factor", factor)))


def jumps(data: Dataset) -> np.ndarray:
    """bool[n], rows inside an episode whose successor is not the observation of the next row."""
    if data.size == 1:
        return np.zeros(1, bool)
    gap = _distance(_slice(data.next_obs, 0, -1), _slice(data.obs, 1, None))
    inside = np.diff(np.asarray(data.episode)) == 0
    return np.append(inside & ~(gap <= JUMP), False)


def split_at_jumps(data: Dataset) -> Dataset:
    """Ends episodes where the next row does not continue them: files with time limits that nobody marked."""
    truncated = (np.asarray(data.truncated) | jumps(data)) & ~np.asarray(data.terminated)
    episode, step = count_steps(truncated | np.asarray(data.terminated))
    return data.replace(
        truncated=jnp.asarray(truncated), episode=jnp.asarray(episode), step=jnp.asarray(step)
    )


def take_episodes(data: Dataset, first: int = 0, last: int | None = None) -> Dataset:
    """Episodes `first .. last - 1` (as a slice of them), numbered from 0; `UsageError` if there are none."""
    number = np.cumsum(np.append(0, np.diff(np.asarray(data.episode)) != 0))
    total = int(number[-1]) + 1
    begin, end, _ = slice(first, last).indices(total)
    if begin >= end:
        raise UsageError(f"take_episodes: {first} .. {last} selects none of the {total} episodes")
    rows = np.flatnonzero((number >= begin) & (number < end))
    taken = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[rows]), data)
    return taken.replace(episode=jnp.asarray(number[rows] - begin, jnp.int32))


def drop_padding(data: Dataset) -> Dataset:
    """The rows whose mask is not 0, without a mask.

    Raises `UsageError` where the mask weighs rows, and where every row is padding.
    """
    if data.mask is None:
        return data
    if data.mask.dtype != bool:
        raise UsageError("drop_padding: the mask weighs rows; dropping some would lose their weights")
    rows = np.flatnonzero(np.asarray(data.mask))
    if not rows.size:
        raise UsageError("drop_padding: every row is padding; give a dataset with at least one row")
    kept = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[rows]), data.replace(mask=None))
    number = np.cumsum(np.append(0, np.diff(np.asarray(kept.episode)) != 0))
    return kept.replace(episode=jnp.asarray(number.astype(np.int32)))  # no program per number of rows


def concatenate(*parts: Dataset, meta: Meta = ()) -> Dataset:
    """All rows of all parts, episodes numbered on; the metadata is `meta`, that of the parts is dropped.

    `is_expert` and `mask` are filled with False and True where only some parts have them.
    Raises `UsageError` for parts of different structure or shape, and where masks are weights.
    """
    if not parts:
        raise UsageError("concatenate: give at least one dataset")
    if any(p.mask is not None and p.mask.dtype != bool for p in parts):
        raise UsageError("concatenate: masks are weights of one dataset; only padding can be concatenated")
    fill = {
        name: value
        for name, value in (("is_expert", False), ("mask", True))
        if any(getattr(p, name) is not None for p in parts)
    }
    offset, renamed = 0, []
    for part in parts:
        values = {
            name: np.full(part.size, value) for name, value in fill.items() if getattr(part, name) is None
        }
        number = np.cumsum(np.append(0, np.diff(np.asarray(part.episode)) != 0))
        renamed.append(part.replace(episode=(number + offset).astype(np.int32), meta=meta, **values))
        offset += int(number[-1]) + 1
    shapes = {str(jax.tree.map(lambda x: (x.shape[1:], str(x.dtype)), p)) for p in renamed}
    if len(shapes) > 1:
        raise UsageError(f"concatenate: parts differ: {' and '.join(sorted(shapes))}")
    return jax.tree.map(lambda *x: jnp.asarray(np.concatenate([np.asarray(y) for y in x])), *renamed)


def label(data: Dataset, is_expert: bool) -> Dataset:
    """`data` with every row labelled."""
    return data.replace(is_expert=jnp.full(data.size, is_expert))


def distances(data: Dataset) -> np.ndarray:
    """float64[n], Euclidean distance from observation to successor over all leaves."""
    return _distance(data.obs, data.next_obs)


def _slice(tree: PyTree, begin: int, end: int | None) -> PyTree:
    return jax.tree.map(lambda x: x[begin:end], tree)


def _distance(one: PyTree, two: PyTree) -> np.ndarray:
    def squares(a: PyTree, b: PyTree) -> np.ndarray:
        gap = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        return np.square(gap).reshape(len(gap), -1).sum(1)

    return np.sqrt(sum(jax.tree.leaves(jax.tree.map(squares, one, two))))
