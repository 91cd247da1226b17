"""Files that are complete or absent, with the permissions that the user asked for."""

import hashlib
import os

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.files import as_path, atomic, atomic_write, sha256


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "a.json", "{}")
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "old")
    with pytest.raises(ValueError, match="stop"), atomic(path) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_bytes_and_their_digest(tmp_path):
    path = tmp_path / "a.txt"
    for content in ("Wörter", b"\x00\xff"):
        atomic_write(path, content)
        raw = content.encode() if isinstance(content, str) else content
        assert path.read_bytes() == raw
        assert sha256(path) == hashlib.sha256(raw).hexdigest()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "missing" / "a.txt", "x")


@pytest.mark.parametrize("value", [3, None, "a\0b", b"\xff", "~nobody-of-this-name/x", ["a"]])
def test_what_is_no_path_is_refused_by_name(value):
    with pytest.raises(UsageError, match=r"^out: .* is no folder name that can be used"):
        as_path("out", value)


def test_a_path_is_absolute_and_its_home_is_filled_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("out", "runs") == as_path("out", "~/runs") == tmp_path / "runs"
