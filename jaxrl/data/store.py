"""Our own files: a `Dataset` as npz or HDF5, both with checksums inside, and a SHA-256 for the registry.

Files are plain arrays named by field (`obs`, or `obs/position` for nested ones); `meta` is JSON in bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import CorruptInput, StorageError, UsageError
from jaxrl.core.types import PyTree
from jaxrl.data import safe
from jaxrl.data.dataset import Dataset

_REQUIRED = ("obs", "action", "reward", "next_obs", "terminated", "truncated", "episode", "step")
_OPTIONAL = ("mask", "is_expert")


def save(data: Dataset, path: Path | str) -> str:
    """Writes `.npz` or `.hdf5` (chunked, gzip, fletcher32), complete or not at all; returns its SHA-256."""
    path = Path(path)
    _check_suffix(path)
    arrays = {"meta": np.frombuffer(json.dumps(data.meta).encode(), np.uint8)}
    for name in (*_REQUIRED, *_OPTIONAL):
        for where, leaf in jax.tree_util.tree_leaves_with_path(getattr(data, name)):
            arrays["/".join([name, *(_key(path, entry) for entry in where)])] = np.asarray(leaf)
    try:
        with safe.atomic(path) as temporary:
            (_write_npz if path.suffix == ".npz" else _write_hdf5)(temporary, arrays)
    except OSError as error:
        raise StorageError(
            f"{path}: dataset not written ({error}); free space or choose another path"
        ) from error
    return safe.sha256(path)


def load(path: Path | str, sha256: str | None = None, limit: int = safe.LIMIT) -> Dataset:
    """What `save` wrote. sha256: expected digest of the file. limit: bytes of all arrays together."""
    path = Path(path)
    _check_suffix(path)
    if sha256 is not None:
        safe.verify(path, sha256)
    arrays = safe.read_npz(path, limit=limit) if path.suffix == ".npz" else safe.read_hdf5(path, limit=limit)
    fields = _nested(arrays)
    for name in (*_REQUIRED, "meta"):
        if name not in fields:
            raise CorruptInput(f"{path}: {name} is missing; write the file with jaxrl.data.store.save")
    if unknown := sorted(set(fields) - {*_REQUIRED, *_OPTIONAL, "meta"}):
        raise CorruptInput(f"{path}: unknown array {unknown[0]}; write the file with jaxrl.data.store.save")
    try:
        meta = tuple((str(name), value) for name, value in json.loads(fields.pop("meta").tobytes()))
    except (ValueError, TypeError) as error:
        raise CorruptInput(f"{path}: meta is not a list of pairs ({error})") from error
    sizes = {name: len(x) for name, x in arrays.items() if name != "meta" and x.ndim}
    if len(sizes) != len(arrays) - 1 or len(set(sizes.values())) != 1:
        raise CorruptInput(f"{path}: arrays of unequal length {sizes}; write it with jaxrl.data.store.save")
    return Dataset(**jax.tree.map(jnp.asarray, fields), meta=meta)


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".npz", ".hdf5"):
        raise UsageError(f"{path}: name must end in .npz or .hdf5")


def _key(path: Path, entry: object) -> str:
    if not isinstance(entry, jax.tree_util.DictKey):
        raise UsageError(f"{path}: observations and actions must be arrays or dicts of arrays to be stored")
    return str(entry.key)


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write_hdf5(path: Path, arrays: dict[str, np.ndarray]) -> None:
    # version 1.10 of the format also has checksums on its own metadata
    with h5py.File(path, "w", libver="v110") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=True, compression="gzip", fletcher32=True)


def _nested(arrays: dict[str, np.ndarray]) -> dict[str, PyTree]:
    """`{"obs/a": x}` as `{"obs": {"a": x}}`."""
    tree: dict[str, PyTree] = {}
    for name, array in arrays.items():
        *groups, last = name.split("/")
        level = tree
        for group in groups:
            level = level.setdefault(group, {})
        level[last] = array
    return tree
