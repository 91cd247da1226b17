"""Readers of files from elsewhere: only arrays of numbers, nothing that executes or points away.

Refusals are `CorruptInput` and name the file, the entry and the fix. Limits are checked against declared
sizes, before anything is read or allocated.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.files import sha256

LIMIT = 4 << 30
# numpy's largest number of axes, and a header in which they fit
_AXES = 64
_HEADER = 2000
# what the libraries raise on flipped and missing bytes
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
)
# what parsing the header of an array raises besides
_HEADER_DAMAGE = (tokenize.TokenError, SyntaxError, MemoryError, TypeError, OverflowError, IndexError)


class NoNumbers(CorruptInput):
    """An array of another type than numbers; `name` is its path in the file."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


def verify(path: Path | str, digest: str) -> None:
    """Raises `CorruptInput` unless the file has this SHA-256."""
    found = sha256(_readable(path))
    if found != digest:
        raise CorruptInput(
            f"{path}: SHA-256 is {found}, expected {digest}; delete the file and fetch it again"
        )


def read_hdf5(
    path: Path | str,
    names: Collection[str] | Callable[[str], bool] | None = None,
    limit: int = LIMIT,
    optional: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Numeric datasets of an HDF5 file by their path, e.g. `{"obs/position": ...}`; tables of numbers too.

    names: read only these, and those of `optional` that exist; what else the file holds is not looked at. A
        function of the path chooses among all that lie in the file.
    limit: bytes of all arrays together.
    """
    path, limit = _readable(path), check_value("limit", limit, Size)
    with _hdf5_errors(path), h5py.File(path, "r") as file:
        if names is None or callable(names):
            found = dict(_datasets(path, file, names))
        else:
            present = [name for name in optional if name in file]
            found = {name: _dataset(path, file, name) for name in (*names, *present)}
        total = sum(math.prod(dataset.shape) * dataset.dtype.itemsize for dataset in found.values())
        if total > limit:
            raise CorruptInput(
                f"{path}: declares {total} bytes, more than the limit of {limit}; raise the limit"
            )
        return {name: np.asarray(dataset[()]) for name, dataset in found.items()}


def names_hdf5(path: Path | str) -> list[str]:
    """Paths of all datasets that lie in an HDF5 file, of whatever type.

    Links are left out, and a group that has several paths is visited once.
    """
    path = _readable(path)
    with _hdf5_errors(path), h5py.File(path, "r") as file:
        return [name for name, item in _walk(path, file) if item is not None]


def read_npz(
    path: Path | str,
    names: Collection[str] | None = None,
    limit: int = LIMIT,
    optional: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Numeric arrays of an npz file; arguments as `read_hdf5`. Pickled entries cannot be read at all."""
    path, limit = _readable(path), check_value("limit", limit, Size)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            for name in names or ():
                if name not in entries:
                    raise _missing(path, name, entries)
            if names is None:
                wanted = entries
            else:
                wanted = {name: entries[name] for name in (*names, *(o for o in optional if o in entries))}
            total = sum(info.file_size for info in wanted.values())
            if total > limit:
                raise CorruptInput(
                    f"{path}: declares {total} bytes, more than the limit of {limit}; raise the limit"
                )
            return {name: _npy(path, name, archive.read(info)) for name, info in wanted.items()}
    except CorruptInput:
        raise
    except (*_DAMAGE, OSError) as error:
        raise CorruptInput(
            f"{path}: not a complete npz file ({_reason(error)}); delete and fetch again"
        ) from error


def _readable(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    return path


def _missing(path: Path, name: str, present: Collection[str]) -> CorruptInput:
    return CorruptInput(f"{path}: has no array {name!r}; it has {', '.join(sorted(present)) or 'none'}")


def _reason(error: BaseException) -> str:
    """What a library says, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


@contextlib.contextmanager
def _hdf5_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except CorruptInput:
        raise
    except (*_DAMAGE, OSError) as error:
        raise CorruptInput(
            f"{path}: incomplete or damaged ({_reason(error)}); delete and fetch again"
        ) from error


def _datasets(
    path: Path, file: h5py.File, wanted: Callable[[str], bool] | None
) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets of a file by their path, or those that are wanted, each checked."""
    for name, item in _walk(path, file):
        if wanted is None or wanted(name):
            yield name, _numeric(path, _checked(path, item, name), name)


def _walk(path: Path, file: h5py.File) -> Iterator[tuple[str, h5py.HLObject | None]]:
    """`(path, object)` of everything but groups, None for links; a group of several paths is visited once."""
    waiting: list[tuple[str, h5py.Group, tuple[Any, ...]]] = [("", file, (_address(file),))]
    seen = {_address(file)}
    while waiting:
        prefix, group, parents = waiting.pop()
        below = []
        for part in group:
            name = prefix + part
            if type(group.get(part, getlink=True)) is not h5py.HardLink:
                yield name, None
                continue
            item = group[part]
            if not isinstance(item, h5py.Group):
                yield name, item
            elif (address := _address(item)) in parents:
                raise CorruptInput(f"{path}: group {name!r} contains itself; refused")
            elif address not in seen:
                seen.add(address)
                below.append((f"{name}/", item, (*parents, address)))
        waiting += reversed(below)


def _address(group: h5py.Group) -> Any:
    info = h5py.h5o.get_info(group.id)
    return info.fileno, info.addr


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    item: h5py.Group | h5py.Dataset = file
    for part in name.split("/"):
        if not isinstance(item, h5py.Group) or item.get(part, getlink=True) is None:
            raise _missing(path, name, list(file))
        item = _item(path, item, part, name)
    return _numeric(path, item, name)


def _item(path: Path, group: h5py.Group, part: str, name: str) -> h5py.Group | h5py.Dataset:
    """A member of a group, looked at only if it lies in this file."""
    link = group.get(part, getlink=True)
    return _checked(path, group[part] if type(link) is h5py.HardLink else None, name)


def _checked(path: Path, item: Any, name: str) -> Any:
    if item is None:
        raise CorruptInput(
            f"{path}: {name!r} is a link to somewhere else; refused, copy the array into the file"
        )
    return item


def _numeric(path: Path, item: object, name: str) -> h5py.Dataset:
    if not isinstance(item, h5py.Dataset) or item.shape is None or not _of_numbers(item.dtype):
        kind = f"of type {item.dtype}" if isinstance(item, h5py.Dataset) else f"a {type(item).__name__}"
        raise NoNumbers(f"{path}: {name!r} is {kind}; only arrays of numbers are read", name)
    if item.is_virtual or item.external:
        raise CorruptInput(
            f"{path}: the numbers of {name!r} lie in another file; refused, copy them into the file"
        )
    return item


def _of_numbers(dtype: np.dtype) -> bool:
    """Whether a type is a number, or a row of a table whose columns are numbers."""
    columns = [dtype[name] for name in dtype.names] if dtype.names else [dtype]
    return all(column.kind in "biuf" for column in columns)


def _npy(path: Path, name: str, raw: bytes) -> np.ndarray:
    """One npy entry, parsed without numpy's loader, which allocates what the header claims."""
    file = io.BytesIO(raw)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, fortran, dtype = readers[np.lib.format.read_magic(file)](file, max_header_size=_HEADER)
    except (*_DAMAGE, *_HEADER_DAMAGE) as error:
        raise CorruptInput(f"{path}: {name!r} is not an array ({_reason(error)}); refused") from error
    if dtype.kind not in "biuf":
        raise CorruptInput(f"{path}: {name!r} is of type {dtype}; only arrays of numbers are read")
    if not all(type(n) is int and n >= 0 for n in shape) or len(shape) > _AXES:
        raise CorruptInput(f"{path}: {name!r} is not an array (its shape is {shape}); refused")
    body = raw[file.tell() :]
    if len(body) != dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise CorruptInput(f"{path}: {name!r} has {len(body)} bytes, its header says {shape} of {dtype}")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
