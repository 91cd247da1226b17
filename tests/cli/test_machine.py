"""Devices and the compilation cache of a process."""

import os

from jaxrl.cli import machine
from jaxrl.cli.main import main


def test_cache_folder_is_the_first_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert machine.cache_folder(tmp_path).parent == tmp_path / ".cache"
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / ".cache").write_text("a file")
    assert machine.cache_folder(blocked).parent == tmp_path / "user" / "jaxrl"
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert machine.cache_folder(blocked) is None


def test_devices_cannot_change_once_jax_is_in_use(root, capsys):
    import jax

    jax.devices()
    assert main(["run", "toy/ring", "smoke", "--devices", "3", "--root", str(root)]) == 2
    assert "devices: jax is already in use" in capsys.readouterr().err


def test_an_id_without_an_account_has_no_cache_of_its_own(tmp_path, monkeypatch):
    """As in containers: HOME is not set and the id has no entry, so that `~` stays as it is."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert machine.cache_folder(tmp_path).parent == tmp_path / ".cache"
    assert machine.cache_folder(None) is None
