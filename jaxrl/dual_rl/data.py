"""What methods of dual RL are given: up to three datasets, and batches of them as inputs of networks.

Under data parallelism every device holds all rows of the datasets and reads its own part of each batch.

Legend: `n` rows of a dataset or a batch, `k` observation features, `d` action coordinates, `H` steps ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, PyTree, struct
from jaxrl.data.check import check_dataset
from jaxrl.data.dataset import Dataset


@struct.dataclass
class Data:
    """The datasets of a method; the README's table says which of them a method reads.

    Rows count in proportion to the `mask` of their dataset.
    """

    reference: Dataset
    """Rows of d^O, or for imitation those of the unlabelled data."""
    expert: Dataset | None = None
    """Labelled rows of d^E."""
    start: Dataset | None = None
    """Rows whose observations follow d0, as `initial` finds them. Observations of another distribution make
    an off-policy start."""


def initial(data: Dataset) -> Dataset:
    """The first row of every episode. A host function.

    Raises `UsageError` for rows with weights, as of an occupancy: they have no first ones.
    """
    if data.mask is not None and data.mask.dtype != bool:
        raise UsageError("initial: the rows have weights, as of an occupancy; give d0 itself as Data.start")
    mask = np.ones(data.size) if data.mask is None else np.asarray(data.mask)
    return data.take(jnp.asarray(np.flatnonzero((np.asarray(data.step) == 0) & (mask > 0))))


class Batch(NamedTuple):
    """Rows of one dataset as inputs of networks.

    x, next_x: float32`[n, k]`, features of s and s'. a: float32`[n, d]` in [-1, 1], or int32`[n]`.
    reward: float32`[n]`. not_done: float32`[n]`, 0 where the episode terminated, else 1.
    weights: float32`[n]` >= 0, of sum 1; on several devices their sums have mean 1.
    """

    x: Array
    a: Array
    reward: Array
    next_x: Array
    not_done: Array
    weights: Array


class Ahead(NamedTuple):
    """What follows each transition of a batch in its episode: `H` rows, the first the row itself.

    reward, not_done: float32`[n, H]`. next_x: float32`[n, H, k]`, features of the states that they lead to.
    inside: float32`[n, H]`, 0 for rows of a later episode, else 1.
    """

    reward: Array
    next_x: Array
    not_done: Array
    inside: Array


class Reader(NamedTuple):
    """Conversion of rows into inputs of networks.

    encode: observation -> float32`[k]`. action: recorded action -> action of the networks. offset, scale:
    `[k]`, of the features. axis: the mesh axis over which batches are spread, None on one device.
    """

    encode: Callable[[PyTree], Array]
    action: Callable[[PyTree], Array]
    offset: Array
    scale: Array
    axis: str | None = None

    def features(self, obs: PyTree) -> Array:
        """float32`[k]`, standardised features of one observation."""
        return (self.encode(obs) - self.offset) / self.scale

    def read(self, key: Key, data: Dataset, size: int | None, *, rewards: bool) -> Batch:
        """`size` rows drawn in proportion to the mask, or for None all rows with their weights.

        rewards: False puts zeros in place of rewards, which are then not even looked at.
        Raises `UsageError` unless the devices divide the number of rows.
        """
        rows = spmd.share(data if size is None else data.sample(key, size), self.axis)
        n = rows.size
        # drawing in proportion to the mask has weighted the rows
        counted = rows.mask is None or size is not None
        weights = jnp.ones(n) if counted else rows.mask.astype(jnp.float32)
        total = weights.sum()
        return Batch(
            x=jax.vmap(self.features)(rows.obs),
            a=jax.vmap(self.action)(rows.action),
            reward=rows.reward if rewards else jnp.zeros(n),
            next_x=jax.vmap(self.features)(rows.next_obs),
            not_done=1.0 - rows.terminated,
            weights=weights / spmd.mean(total, self.axis),
        )

    def ahead(self, key: Key, data: Dataset, size: int | None, steps: int) -> Ahead:
        """The rows that `read` gives for the same key and the `steps` - 1 that follow each in its episode."""
        first = spmd.share(jnp.arange(data.size) if size is None else data.draw(key, size), self.axis)
        index = first[:, None] + jnp.arange(steps)[None]
        rows = data.take(jnp.minimum(index, data.size - 1))
        return Ahead(
            reward=rows.reward,
            next_x=jax.vmap(jax.vmap(self.features))(rows.next_obs),
            not_done=1.0 - rows.terminated,
            inside=((rows.episode == rows.episode[:, :1]) & (index < data.size)).astype(jnp.float32),
        )


def needed(data: Dataset | None, name: str, method: str) -> Dataset:
    """`data`, which `method` reads; raises `UsageError` where there is none."""
    if data is None:
        fix = "start=initial(data)" if name == "start" else f"{name}=..."
        raise UsageError(f"Data.{name}: {method} needs it; give Data(..., {fix})")
    return data


def check_data(
    data: Data, observation_space: Space, action_space: Space, needs: tuple[str, ...], method: str
) -> None:
    """Raises `UsageError` unless `method` can be trained on `data`.

    needs: datasets that it reads. Every dataset that is given has to fit the spaces (`check_dataset`) and to
    have one reward per row. While a program is traced there are no values, and only what types tell is
    checked.
    """
    for name in needs:
        needed(getattr(data, name), name, method)
    for name in ("reference", "expert", "start"):
        rows = getattr(data, name)
        if rows is None:
            continue
        if rows.reward.ndim != 1:
            raise UsageError(f"Data.{name}.reward: must be one per row, got shape {rows.reward.shape}")
        check_dataset(rows, observation_space, action_space, name=f"Data.{name}")


def moments(encode: Callable[[PyTree], Array], data: Dataset) -> tuple[Array, Array]:
    """Mean and standard deviation `[k]` of the observation features, weighted by the mask.

    The standard deviation of features that do not vary is given as 1.
    """
    x = jax.vmap(encode)(data.obs)
    weights = None if data.mask is None else data.mask.astype(x.dtype)
    mean = jnp.average(x, axis=0, weights=weights)
    std = jnp.sqrt(jnp.average(jnp.square(x - mean[None]), axis=0, weights=weights))
    return mean, jnp.where(std > 1e-6, std, 1.0)


def termination_rate(data: Dataset) -> Array:
    """float32[], the share of rows that terminate, weighted by the mask."""
    return jnp.average(data.terminated.astype(jnp.float32), weights=data.mask)


def joined(first: Batch, second: Batch) -> tuple[Batch, Array, Array]:
    """Both batches as one, with the weights of each over all rows: `(rows, [n + m], [n + m])`."""
    rows = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    none_first, none_second = jnp.zeros_like(first.weights), jnp.zeros_like(second.weights)
    return (
        rows,
        jnp.concatenate([first.weights, none_second]),
        jnp.concatenate([none_first, second.weights]),
    )
