"""Transitions as a pytree that jitted code takes as an argument.

Legend: `n` rows, `b` batch, `m` reward components. The rows of an episode are
contiguous and in order, and the last of them has one of the two end flags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, PyTree, struct
from jaxrl.data.fit import bounds_of, check_weights, misfit, outside

Meta = tuple[tuple[str, str | int | float | bool], ...]


@struct.dataclass
class Dataset:
    """Transitions, leaves `[n, ...]`, or `[b, ...]` where sampled.

    obs, next_obs, action: numbers of at most 32 bits; reward: float32[n] or [n, m]; terminated, truncated:
    bool[n], disjoint; episode: int32[n], equal within an episode; step: int32[n] since its start.
    mask: how much a row counts. None: all alike; bool[n]: False for padding; float32[n]: exact weights, as of
    an occupancy measure. Rows are drawn in proportion to it.
    is_expert: bool[n], or None where nobody is labelled.
    meta: what is known about the data, `(name, value)` pairs; static, so it is part of a compilation's key.

    Pass it to jitted functions as an argument: a captured array becomes a constant of the program.
    """

    obs: PyTree
    action: PyTree
    reward: Array
    next_obs: PyTree
    terminated: Array
    truncated: Array
    episode: Array
    step: Array
    mask: Array | None = None
    is_expert: Array | None = None
    meta: Meta = struct.field(pytree_node=False, default=())

    @property
    def size(self) -> int:
        """`n`, static."""
        return self.episode.shape[0]

    @property
    def done(self) -> Array:
        """bool, the union of both ends."""
        return self.terminated | self.truncated

    def take(self, index: Array) -> Dataset:
        """The rows at `index` `[...]`, leaves `[..., ...]`."""
        return jax.tree.map(lambda x: x[index], self)

    def sample(self, key: Key, batch: int) -> Dataset:
        """`b` rows with replacement, in proportion to `mask`; costs O(n) per call where there is one.

        Raises `UsageError` for weights that are negative, not finite or all zero, where they have values: a
        program that is traced draws from rows that nobody has checked (`jaxrl.data.check`).
        """
        return self.take(self.draw(key, batch))

    def draw(self, key: Key, batch: int) -> Array:
        """int32[b], the indices of the rows that `sample` gives for the same key."""
        if self.mask is None:
            return jax.random.randint(key, (batch,), 0, self.size)
        if self.mask.shape != (self.size,):
            raise UsageError(
                f"Dataset.mask: shape {self.mask.shape}; give one weight to each of {self.size} rows"
            )
        check_weights(self.mask, "Dataset.mask")
        return _draw(key, batch, self.mask)


def from_arrays(
    arrays: Mapping[str, PyTree],
    *,
    action_space: Space | None = None,
    reward_dim: int | None = None,
    max_episode_steps: int | None = None,
    source: str = "arrays",
    meta: Meta = (),
) -> Dataset:
    """A `Dataset` of host arrays, checked row by row; `CorruptInput` names `source`, field and first bad row.

    arrays: `obs, action, reward, next_obs, terminated, truncated`, optionally `is_expert`, leaves `[n, ...]`
        with the rows of each episode contiguous. Numbers of 64 bits become 32.
    action_space: actions have to lie in it. reward_dim: m for rewards `[n, m]`.
    max_episode_steps: longer episodes are truncated at this length. Without it a missing `truncated` is an
        error, because time limits cannot be told from the rest.

    A last episode without an end counts as truncated.
    """
    required = ["obs", "action", "reward", "next_obs", "terminated"]
    for name in [*required, "truncated"] if max_episode_steps is None else required:
        if name not in arrays:
            fix = " or give max_episode_steps" if name == "truncated" else ""
            raise CorruptInput(f"{source}: {name} is missing; add the array{fix}")
    known = {*required, "truncated", "is_expert"}
    if unknown := sorted(set(arrays) - known):
        raise CorruptInput(f"{source}: unknown array {unknown[0]}; known are {', '.join(sorted(known))}")
    fields = {name: _narrow(source, name, arrays[name]) for name in arrays}
    terminated = as_flags(source, "terminated", fields["terminated"])
    n = len(terminated)
    if n == 0:
        raise CorruptInput(f"{source}: has no rows; give at least one transition")
    truncated = as_flags(source, "truncated", fields.get("truncated", np.zeros(n, bool)))
    check_lengths(source, fields, n)
    if max_episode_steps is not None:
        truncated = truncated | cut_after(terminated | truncated, max_episode_steps)
    _check_shapes(source, fields, reward_dim)
    first_bad(source, "terminated", terminated & truncated, "is set together with truncated; clear one")
    if action_space is not None:
        _check_actions(source, fields["action"], action_space)
    if "is_expert" in fields:
        fields["is_expert"] = as_flags(source, "is_expert", fields["is_expert"])
    truncated = truncated.copy()
    truncated[-1] |= not terminated[-1]
    episode, step = count_steps(terminated | truncated)
    fields |= {"truncated": truncated, "episode": episode, "step": step}
    return Dataset(**jax.tree.map(jnp.asarray, fields), meta=meta)


def from_occupancy(occupancy: Array, mdp: Any, meta: Meta = ()) -> Dataset:
    """The population of transitions under an occupancy measure `[S, A]` of a stationary `TabularMDP`.

    One row per (s, a, s') of positive weight, `mask = occupancy(s, a) P(s' | s, a)`, so that sums weighted
    with the mask are expectations, without sampling error. obs and next_obs are state indices, int32[n]. Rows
    are unrelated: each is its own episode.
    """
    occupancy, transitions = np.asarray(occupancy), np.asarray(mdp.P)
    if transitions.ndim != 3 or occupancy.shape != transitions.shape[:2]:
        raise UsageError(
            f"occupancy: shape {occupancy.shape} does not fit transitions {transitions.shape} [S, A, S]"
        )
    if not np.all(occupancy >= 0):
        raise UsageError("occupancy: must not be negative or NaN")
    weights = occupancy[:, :, None] * transitions
    state, action, successor = np.nonzero(weights)
    reward = np.asarray(mdp.R)
    reward = reward[state, action, successor] if mdp.reward_on_successor else reward[state, action]
    terminated = np.asarray(mdp.terminal)[successor]
    fields = {
        "obs": state.astype(np.int32),
        "action": action.astype(np.int32),
        "reward": reward,
        "next_obs": successor.astype(np.int32),
        "terminated": terminated,
        "truncated": ~terminated,
        "episode": np.arange(len(state), dtype=np.int32),
        "step": np.zeros(len(state), np.int32),
        "mask": weights[state, action, successor],
    }
    return Dataset(**jax.tree.map(jnp.asarray, fields), meta=meta)


def dataset_hash(data: Dataset) -> str:
    """SHA-256 of all rows and the metadata; equal for equal content wherever it is stored."""
    digest = hashlib.sha256(repr(sorted(data.meta)).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _draw(key: Key, batch: int, weight: Array) -> Array:
    """int32[b], indices in proportion to non-negative weights `[n]`, bool or float."""
    if weight.dtype == bool:
        end = jnp.cumsum(weight, dtype=jnp.int32)
        draw = jax.random.randint(key, (batch,), 0, jnp.maximum(end[-1], 1))
        return jnp.minimum(jnp.searchsorted(end, draw, side="right"), weight.shape[0] - 1)
    return _descend(key, batch, weight)


def _descend(key: Key, batch: int, weight: Array) -> Array:
    """Indices int32[b], drawn on the way down a binary tree of sums, with 32 random bits at every node.

    A running sum of float32 would swallow small weights behind large ones, and one number in [0, 1) of
    float32 has 2^23 values; here every row with a weight can be drawn, its probability being off by rounding
    errors of log2(n) sums and quotients.
    """
    depth = (weight.shape[0] - 1).bit_length()
    levels = [jnp.pad(weight, (0, 2**depth - weight.shape[0]))]
    for _ in range(depth - 1):
        levels.append(levels[-1].reshape(-1, 2).sum(1))
    index = jnp.zeros(batch, jnp.int32)
    for level, bits in zip(reversed(levels), jax.random.bits(key, (depth, batch)), strict=False):
        left, right = level[2 * index], level[2 * index + 1]
        chance = left / (left + right)
        threshold = jnp.maximum((jnp.minimum(chance, 1 - 2.0**-24) * 2.0**32).astype(jnp.uint32), 1)
        goes_left = (left > 0) & ((right <= 0) | (bits < threshold))
        index = 2 * index + ~goes_left
    return index


def _narrow(source: str, name: str, tree: PyTree) -> PyTree:
    """Numpy leaves of at most 32 bits, finite; lists count as arrays."""

    def leaf(x: Any) -> np.ndarray:
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise CorruptInput(f"{source}: {name} has rows of different shapes; make them equal") from error
        if x.ndim == 0 or x.dtype.kind not in "biuf":
            raise CorruptInput(
                f"{source}: {name} has shape {x.shape} and type {x.dtype}; give rows of numbers"
            )
        if x.dtype.kind == "f":
            with np.errstate(over="ignore"):
                x = x.astype(np.float32)
            first_bad(source, name, ~np.isfinite(x), "is not finite as float32; remove the episode")
            return x
        if x.dtype.itemsize > 4:
            limits = np.iinfo(np.int32)
            first_bad(source, name, (x < limits.min) | (x > limits.max), "does not fit into int32")
            return x.astype(np.int32)
        return x.astype(x.dtype.newbyteorder("="))

    return jax.tree.map(leaf, tree, is_leaf=lambda x: isinstance(x, list))


def as_flags(source: str, name: str, x: np.ndarray) -> np.ndarray:
    """bool[n] of zeros and ones, `[n]` or `[n, 1]` of any numeric type; `CorruptInput` names another row."""
    x = as_column(x)
    if x.ndim != 1:
        raise CorruptInput(f"{source}: {name} has shape {x.shape}; give one flag per row")
    if x.dtype != bool:
        first_bad(source, name, (x != 0) & (x != 1), "is neither 0 nor 1; give flags")
    return x.astype(bool)


def as_column(x: np.ndarray) -> np.ndarray:
    """`[n]` of an array `[n, 1]`; every other array as it is."""
    return x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x


def check_lengths(source: str, fields: Mapping[str, PyTree], n: int) -> None:
    """Raises `CorruptInput` unless every leaf has `n` rows, as `terminated` has."""
    for name, tree in fields.items():
        for x in jax.tree.leaves(tree):
            if len(x) != n:
                raise CorruptInput(f"{source}: {name} has {len(x)} rows, terminated has {n}; make them equal")


def _check_shapes(source: str, fields: dict[str, PyTree], reward_dim: int | None) -> None:
    shape = (len(fields["terminated"]),) + (() if reward_dim is None else (reward_dim,))
    reward = fields["reward"]
    if reward.shape != shape or reward.dtype.kind != "f":
        raise CorruptInput(
            f"{source}: reward has shape {reward.shape} and type {reward.dtype}, expected floats {shape}; "
            "reshape it, or set reward_dim for vector rewards"
        )
    obs, next_obs = (
        jax.tree.map(lambda x: (x.shape, str(x.dtype)), fields[name]) for name in ("obs", "next_obs")
    )
    if obs != next_obs:
        raise CorruptInput(f"{source}: next_obs is {next_obs}, obs is {obs}; make them equal")


def _check_actions(source: str, actions: PyTree, space: Space) -> None:
    if problem := misfit(actions, space):
        raise CorruptInput(f"{source}: action {problem}")
    bad = outside(actions, space)
    first_bad(source, "action", bad, f"lies outside {bounds_of(space)}; clip or rescale the actions")


def first_bad(source: str, name: str, bad: np.ndarray, what: str) -> None:
    """Raises `CorruptInput` with the number of the first row `[n, ...]` in which `bad` is set, if any."""
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1)) if bad.size else []
    if len(rows):
        raise CorruptInput(f"{source}: {name} in row {rows[0]} {what}")


def count_steps(done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(episode, step)` int32[n] of contiguous episodes with these last rows."""
    first = np.concatenate([[True], done[:-1]])
    episode = np.cumsum(first) - 1
    step = np.arange(len(done)) - np.flatnonzero(first)[episode]
    return episode.astype(np.int32), step.astype(np.int32)


def cut_after(terminated: np.ndarray, limit: int) -> np.ndarray:
    """bool[n], the rows at which a time limit of `limit` steps ended the episode; `terminated` bool[n]."""
    limit = check_value("max_episode_steps", limit, Size)
    _, step = count_steps(terminated)
    return (step % limit == limit - 1) & ~terminated
