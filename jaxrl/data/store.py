"""Our own files: a `Dataset` as npz or HDF5, both with checksums inside, and a SHA-256 for the registry.

Files are plain arrays named by field (`obs`, or `obs/position` for nested ones, where `%` and `/` inside a
key are written `%25` and `%2F`); `meta` is JSON in bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import CorruptInput, StorageError, UsageError
from jaxrl.core.files import atomic, sha256
from jaxrl.core.types import PyTree
from jaxrl.data import safe
from jaxrl.data.dataset import Dataset, Meta

_REQUIRED = ("obs", "action", "reward", "next_obs", "terminated", "truncated", "episode", "step")
_OPTIONAL = ("mask", "is_expert")


def save(data: Dataset, path: Path | str) -> str:
    """Writes `.npz` or `.hdf5` (chunked, gzip, fletcher32), complete or not at all; returns its SHA-256.

    `load` gives the same structure, arrays and metadata; numpy scalars of the metadata become Python's.

    Raises `UsageError` before anything is written for what would not come back: observations or actions that
    are neither arrays nor dicts of arrays by text, arrays of other types than numbers, and metadata other
    than text, numbers and truth values; `StorageError` where the file cannot be written.
    """
    path = Path(path)
    _check_suffix(path)
    arrays = {"meta": np.frombuffer(json.dumps(_plain(path, data.meta)).encode(), np.uint8)}
    for name in (*_REQUIRED, *_OPTIONAL):
        arrays |= _flat(path, name, getattr(data, name), data.size)
    try:
        with atomic(path) as temporary:
            (_write_npz if path.suffix == ".npz" else _write_hdf5)(temporary, arrays)
    except OSError as error:
        raise StorageError(
            f"{path}: dataset not written ({error}); free space or choose another path"
        ) from error
    return sha256(path)


def load(path: Path | str, digest: str | None = None, limit: int = safe.LIMIT) -> Dataset:
    """The dataset that `save` wrote.

    digest: expected SHA-256 of the file. limit: bytes of all arrays together.

    Raises `CorruptInput` for a file with another digest, damaged, or not written by `save`.
    """
    path = Path(path)
    _check_suffix(path)
    if digest is not None:
        safe.verify(path, digest)
    arrays = safe.read_npz(path, limit=limit) if path.suffix == ".npz" else safe.read_hdf5(path, limit=limit)
    try:
        fields = _nested(arrays)
    except (AttributeError, TypeError):  # an array and a group of one name
        raise CorruptInput(f"{path}: an array is also a group; write it with jaxrl.data.store.save") from None
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


def _plain(path: Path, meta: Meta) -> list[tuple[str, Any]]:
    """The metadata as JSON can hold them."""
    pairs = [(name, x.item() if isinstance(x, np.generic) else x) for name, x in meta]
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool):
            raise UsageError(
                f"{path}: meta {name!r} is a {type(value).__name__}; give text, a number or a truth value"
            )
    return pairs


def _flat(path: Path, field: str, tree: PyTree, rows: int) -> dict[str, np.ndarray]:
    """The arrays of a field by the name under which they are stored."""
    flat = {}
    for where, leaf in jax.tree_util.tree_leaves_with_path(tree):
        keys = [getattr(entry, "key", None) for entry in where]
        if not all(isinstance(key, str) and _is_name(key) for key in keys):
            keys = [str(entry) for entry in where]
            raise UsageError(
                f"{path}: {field} has an entry {''.join(keys)}; store arrays, or dicts of arrays by text"
            )
        array, name = np.asarray(leaf), "/".join([field, *map(_escaped, keys)])
        if array.dtype.kind not in "biuf" or array.shape[:1] != (rows,):
            raise UsageError(
                f"{path}: {name} has type {array.dtype} and shape {array.shape}; store {rows} rows of numbers"
            )
        flat[name] = array
    if not flat and (tree is None and field in _OPTIONAL):
        return flat
    if not flat or jax.tree.structure(_nested(flat)[field]) != jax.tree.structure(tree):
        raise UsageError(
            f"{path}: {field} has the structure {jax.tree.structure(tree)}; store arrays, or dicts of arrays"
        )
    return flat


def _is_name(key: str) -> bool:
    """Whether a key can be part of a name in a file: Unicode without the character 0."""
    return "\0" not in key and not any("\ud800" <= letter <= "\udfff" for letter in key)


def _escaped(key: str) -> str:
    """A key as one part of a path; as it is, but for what separates parts or has a meaning in paths."""
    if key in ("", ".", ".."):
        return "%" + key.replace(".", "2E%").removesuffix("%")
    return key.replace("%", "%25").replace("/", "%2F")


def _unescaped(part: str) -> str:
    return "" if part == "%" else part.replace("%2E", ".").replace("%2F", "/").replace("%25", "%")


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
        *groups, last = map(_unescaped, name.split("/"))
        level = tree
        for group in groups:
            level = level.setdefault(group, {})
        level[last] = array
    return tree
