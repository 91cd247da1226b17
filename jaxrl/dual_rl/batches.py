"""What the learner of dual RL is given: up to three datasets, and minibatches of them as network inputs.

Legend: `n` rows of a batch, `k` observation features, `d` action coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Space, is_space
from jaxrl.core.types import Array, Key, PyTree, struct
from jaxrl.data.dataset import Dataset


@struct.dataclass
class Data:
    """The datasets of a method; which of them it reads is said by its row in the table.

    reference: rows of d^O, or for imitation of the unlabelled data. expert: labelled rows of d^E. start: rows
    whose observations follow d0, as `initial` finds them; any other law is an off-policy start.
    Rows count in proportion to their `mask`.
    """

    reference: Dataset
    expert: Dataset | None = None
    start: Dataset | None = None


def initial(data: Dataset) -> Dataset:
    """The first row of every episode. A host function.

    Raises `UsageError` for rows that are weighed, as of an occupancy: they have no first ones.
    """
    if data.mask is not None and data.mask.dtype != bool:
        raise UsageError("initial: the rows are weighed, as of an occupancy; give d0 itself as Data.start")
    mask = np.ones(data.size) if data.mask is None else np.asarray(data.mask)
    return data.take(jnp.asarray(np.flatnonzero((np.asarray(data.step) == 0) & (mask > 0))))


class Rows(NamedTuple):
    """A batch. x, next_x: float32`[n, k]`; a: float32`[n, d]` in [-1, 1], or int32`[n]`; reward, going:
    float32`[n]`, going is 0 where the episode terminated, else 1; mass: float32`[n]` >= 0 of sum 1.
    """

    x: Array
    a: Array
    reward: Array
    next_x: Array
    going: Array
    mass: Array


class Reader(NamedTuple):
    """How rows become numbers: observation -> float32`[k]`, action -> network units; offset, scale: `[k]`."""

    encode: Callable[[PyTree], Array]
    action: Callable[[PyTree], Array]
    offset: Array
    scale: Array

    def features(self, obs: PyTree) -> Array:
        """float32`[k]`, standardised features of one observation."""
        return (self.encode(obs) - self.offset) / self.scale

    def read(self, key: Key, data: Dataset, size: int | None, *, rewards: bool) -> Rows:
        """`size` rows in proportion to the mask, or all of them with their mass for None.

        rewards: False puts zeros in place of rewards, which are then not even looked at.
        """
        rows = data if size is None else data.sample(key, size)
        n = rows.size
        mass = jnp.ones(n) if rows.mask is None or size is not None else rows.mask.astype(jnp.float32)
        return Rows(
            x=jax.vmap(self.features)(rows.obs),
            a=jax.vmap(self.action)(rows.action),
            reward=rows.reward if rewards else jnp.zeros(n),
            next_x=jax.vmap(self.features)(rows.next_obs),
            going=1.0 - rows.terminated,
            mass=mass / mass.sum(),
        )


def needed(data: Dataset | None, name: str, method: str) -> Dataset:
    """`data`, which `method` cannot do without; `UsageError` where there is none."""
    if data is None:
        fix = "start=initial(data)" if name == "start" else f"{name}=..."
        raise UsageError(f"Data.{name}: {method} needs it; give Data(..., {fix})")
    return data


def check_shapes(data: Data, observation_space: Space, action_space: Space) -> None:
    """Raises `UsageError` unless all rows are of the spaces and rewards are scalar; works while tracing.

    Values are checked where datasets are made (`from_arrays`) and reported by `validate`.
    """
    for name in ("reference", "expert", "start"):
        rows = getattr(data, name)
        if rows is None:
            continue
        if rows.reward.ndim != 1:
            raise UsageError(f"Data.{name}.reward: must be one per row, got shape {rows.reward.shape}")
        for field, space in (
            ("obs", observation_space),
            ("next_obs", observation_space),
            ("action", action_space),
        ):
            found = jax.tree.map(lambda x: (x.shape[1:], x.dtype.kind == "f"), getattr(rows, field))
            wanted = jax.tree.map(lambda s: (s.shape, isinstance(s, Box)), space, is_leaf=is_space)
            if found != wanted:
                raise UsageError(
                    f"Data.{name}.{field}: rows of (shape, floats) {found} do not fit {space}, {wanted}"
                )


def spread(encode: Callable[[PyTree], Array], data: Dataset) -> tuple[Array, Array]:
    """Mean and standard deviation `[k]` of the observation features, weighted by the mask; 1 if constant."""
    x = jax.vmap(encode)(data.obs)
    weights = None if data.mask is None else data.mask.astype(x.dtype)
    mean = jnp.average(x, axis=0, weights=weights)
    deviation = jnp.sqrt(jnp.average(jnp.square(x - mean[None]), axis=0, weights=weights))
    return mean, jnp.where(deviation > 1e-6, deviation, 1.0)


NOISE_CUT = 0.5
"""Largest noise in an action, in units of half its range."""


def smoothed(rows: Rows, key: Key, copies: int, deviation: Array | None) -> Rows:
    """`rows` with noise in their actions, followed by `copies` of them with uniform ones, `[n (1 + copies)]`.

    Actions `[n, d]` in [-1, 1]. deviation: of normal noise, cut at `NOISE_CUT` and the range; None for none.
    A value loss over these rows looks at Q beside the actions of the data too.
    """
    k_noise, k_uniform = jax.random.split(key)
    actions = rows.a
    if deviation is not None:
        noise = deviation * jax.random.normal(k_noise, actions.shape)
        actions = jnp.clip(actions + jnp.clip(noise, -NOISE_CUT, NOISE_CUT), -1, 1)
    uniform = jax.random.uniform(k_uniform, (copies, *actions.shape), minval=-1.0, maxval=1.0)
    repeated = jax.tree.map(lambda x: jnp.tile(x, (1 + copies,) + (1,) * (x.ndim - 1)), rows)
    actions = jnp.concatenate([actions[None], uniform]).reshape(-1, *actions.shape[1:])
    return repeated._replace(a=actions, mass=repeated.mass / (1 + copies))


def ending(data: Dataset) -> Array:
    """float32[], the share of rows that terminate, weighted by the mask."""
    return jnp.average(data.terminated.astype(jnp.float32), weights=data.mask)


def joined(first: Rows, second: Rows) -> tuple[Rows, Array, Array]:
    """Both batches as one, with the law of each over all rows: `(rows, [n + m], [n + m])`, mass 1 each."""
    rows = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    none_first, none_second = jnp.zeros_like(first.mass), jnp.zeros_like(second.mass)
    return (
        rows,
        jnp.concatenate([first.mass, none_second]),
        jnp.concatenate([none_first, second.mass]),
    )
