"""Run folders as a process leaves them that was killed inside a save, and the bits of a state."""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.core.types import PyTree
from jaxrl.run.checkpoint import MANIFEST
from jaxrl.run.folder import RunFolder


def killed_inside_a_save(folder: RunFolder, updates: int, stage: str = "train") -> int:
    """Leaves of the checkpoints beyond `updates` the arrays alone; how many they are."""
    beyond = [path for path in (folder.checkpoints / stage).iterdir() if int(path.name) > updates]
    for path in beyond:
        (path / MANIFEST).unlink()
    return len(beyond)


def bits(state: PyTree) -> list[bytes]:
    """The bytes of every leaf of a state, keys among them."""

    def raw(x: jax.Array) -> bytes:
        key = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if key else x).tobytes()

    return [raw(x) for x in jax.tree.leaves(state)]
