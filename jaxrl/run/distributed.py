"""Functions whose work differs between one process and several that run one program.

Every process calls the same functions in the same order. Process 0 writes the run folder; checkpoints are
written by all.
"""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, Sharding

from jaxrl.core.errors import UsageError
from jaxrl.core.types import PyTree


def initialize(coordinator: str, processes: int, index: int, timeout_s: int = 60) -> None:
    """Joins `processes` processes at `coordinator` ("host:port"); call before anything asks for devices.

    Raises UsageError where they do not all arrive within `timeout_s` seconds.
    """
    try:
        jax.distributed.initialize(
            coordinator, num_processes=processes, process_id=index, initialization_timeout=timeout_s
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"coordinator: process {index} of {processes} cannot join at {coordinator} ({reason})"
        ) from error


def several() -> bool:
    """Whether this is one of several processes."""
    return jax.process_count() > 1


def is_primary() -> bool:
    """Whether this process writes the run folder."""
    return jax.process_index() == 0


def no_mesh() -> contextlib.AbstractContextManager[Any]:
    """A context in which a mesh of the caller's (`jax.set_mesh`) is not seen: a run has its own."""
    if jax.sharding.get_abstract_mesh().empty:
        return contextlib.nullcontext()
    return jax.set_mesh(Mesh(np.empty((), object), ()))


def put(tree: PyTree, sharding: Sharding) -> PyTree:
    """Global arrays from leaves that every process holds in full."""

    def place(x: Any) -> jax.Array:
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    if not several():
        return jax.device_put(tree, sharding)
    return jax.tree.map(place, tree)


def fetch(tree: PyTree) -> PyTree:
    """Numpy arrays of global arrays, in every process; waits for the devices."""
    if not several():
        return jax.device_get(tree)
    from jax.experimental import multihost_utils

    def gather(x: Any) -> Any:
        return multihost_utils.process_allgather(x, tiled=True) if isinstance(x, jax.Array) else x

    return jax.tree.map(gather, tree)


def agree(value: int) -> int:
    """The largest `value` over all processes."""
    if not several():
        return value
    from jax.experimental import multihost_utils

    return int(multihost_utils.process_allgather(np.int32(value)).max())


def same_text(text: str) -> str:
    """The `text` of process 0, in every process."""
    if not several():
        return text
    from jax.experimental import multihost_utils

    own = np.frombuffer(text.encode(), np.uint8)
    padded = np.zeros(agree(own.size), np.uint8)
    padded[: own.size] = own
    return bytes(multihost_utils.broadcast_one_to_all(padded)).rstrip(b"\0").decode()


def barrier(name: str) -> None:
    """Waits until every process is here."""
    if several():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
