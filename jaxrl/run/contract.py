"""The parts of an algorithm's state that a run relies on: a key that stays, a right count of updates.

Keys of updates are drawn from the two, checkpoints continue by them, and divergence is told by the count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, PyTree


class Marks(NamedTuple):
    """The two fields of `B` members: key data uint32[B, ...] and updates int32[B]."""

    key: Any
    updates: Any

    @classmethod
    def of(cls, state: PyTree) -> Marks:
        """Copies, because the driver gives the state away."""
        return _marks(state.key, state.updates)


@jax.jit
def _marks(key: Array, updates: Array) -> Marks:
    return Marks(jax.random.key_data(key), updates + 0)


def check_state(algorithm: Algorithm, state: PyTree) -> None:
    """Raise UsageError unless `state` of `init`, of one member, has a typed key and an int32[] count."""
    where = f"{name_of(algorithm)}: the state of `init`"
    missing = [name for name in ("key", "updates") if not hasattr(state, name)]
    if missing:
        raise UsageError(f"{where} has no field {' and no field '.join(missing)}; add what `Algorithm` lists")
    key, updates = state.key, state.updates
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise UsageError(f"{where} holds {_kind(key)} as `key`; keep one typed key, as `init` is given")
    if (getattr(updates, "shape", None), getattr(updates, "dtype", None)) != ((), jnp.int32):
        raise UsageError(f"{where} holds {_kind(updates)} as `updates`; start from jnp.zeros((), jnp.int32)")


def check_updates(algorithm: Algorithm, before: Marks, after: Marks, count: int, kept: np.ndarray) -> None:
    """Raise UsageError where `count` updates changed the key, or did not raise `updates` by as many.

    before, after: numpy leaves `[B, ...]`; kept: bool[B], members that have done all of the updates.
    """
    done = (after.updates - before.updates)[kept]
    if np.any(done != count):
        raise UsageError(
            f"{name_of(algorithm)}: `step` raised state.updates by {int(done[done != count][0])} in {count}"
            f" update{'s' if count > 1 else ''}; return the state with updates=state.updates + 1"
        )
    if np.any(before.key != after.key):
        raise UsageError(
            f"{name_of(algorithm)}: `step` changed state.key; return it as it is, and draw the keys of an"
            " update from jaxrl.core.prng.stream(state.key, state.updates)"
        )


def check_copies(state: PyTree) -> None:
    """Raise UsageError where devices that hold the same part of an array of `state` differ in it."""
    for x in jax.tree.leaves(state):
        plain = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        seen: dict[str, bytes] = {}
        for shard in plain.addressable_shards:
            data = np.asarray(shard.data).tobytes()
            if seen.setdefault(str(shard.index), data) != data:
                raise UsageError(
                    "work: the state of the algorithm differs between devices that share a member; leave work"
                    " out, or keep its state the same on all of them (spmd.gather, spmd.mean)"
                )


def name_of(algorithm: Algorithm) -> str:
    """The module that the algorithm says it is from, else the function that its `step` is."""
    if algorithm.origin is not None:
        return algorithm.origin.module
    step = algorithm.step
    return f"{getattr(step, '__module__', '?')}.{getattr(step, '__qualname__', repr(step))}"


def _kind(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
