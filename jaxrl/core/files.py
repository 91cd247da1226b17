"""Files that are complete or absent, and their digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxrl.core.errors import UsageError


@contextlib.contextmanager
def atomic(target: Path | str) -> Iterator[Path]:
    """A temporary file beside `target` that takes its name if the block succeeds, and vanishes otherwise.

    The content and the name are on disk (fsync) when the block ends; permissions follow the umask. Raises
    `OSError` where the folder cannot be written.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def as_path(name: str, value: Any) -> Path:
    """`value` as an absolute path; UsageError that calls it `name` for what no file can be called.

    Names that are not UTF-8 are refused too, because checkpoints cannot use them.
    """
    try:
        path = Path(value).expanduser().resolve()
        os.fsencode(path).decode("utf-8")
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name}: {value!s:.200} is no folder name that can be used ({error})") from error
    return path


def atomic_write(path: Path | str, content: bytes | str) -> None:
    """Replaces `path` by `content`, text as UTF-8; see `atomic`."""
    with atomic(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def sync_folder(path: Path | str) -> None:
    """Makes renames inside a folder durable, on file systems that can."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sha256(path: Path | str) -> str:
    """Hexadecimal digest of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
