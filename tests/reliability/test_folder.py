"""R11, R12, R13: storage that fails, folders that cannot be used, folders that are in use."""

import os
import socket
import subprocess
import sys
import time

import pytest

from jaxrl.core.errors import StorageError, UsageError
from jaxrl.run.folder import RunFolder
from tests.reliability import toy_run


def test_r11_metrics_without_space_are_not_silent(tmp_path):
    folder = toy_run.new_folder(tmp_path, updates=8)
    (folder.path / "metrics.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(StorageError, match=r"metrics\.jsonl: cannot write \d+ bytes \(No space left"),
        folder.session(),
    ):
        toy_run.run(toy_run.Config(updates=8), folder)
    assert folder.status["state"] == "failed" and folder.status["exit_code"] == 6


def test_r12_folders_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        StorageError, match=r"file/toys/q/.*: cannot create the run folder \(Not a directory\)"
    ):
        toy_run.new_folder(tmp_path / "file")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.geteuid() != 0:  # root may write anywhere
        with pytest.raises(StorageError, match="Permission denied"):
            toy_run.new_folder(closed)
    with pytest.raises(UsageError, match="not a run folder"):
        RunFolder.open(tmp_path / "nowhere")


def test_r12_a_finished_run_is_restored_not_overwritten(tmp_path):
    folder = toy_run.new_folder(tmp_path, updates=8)
    first = toy_run.run(toy_run.Config(updates=8), folder)
    before = {p: p.read_bytes() for p in (folder.path / "checkpoints").rglob("*") if p.is_file()}
    metrics = (folder.path / "metrics.jsonl").read_bytes()
    again = toy_run.run(toy_run.Config(updates=8), folder)
    assert toy_run.digest(again) == toy_run.digest(first)
    assert {p: p.read_bytes() for p in (folder.path / "checkpoints").rglob("*") if p.is_file()} == before
    assert (folder.path / "metrics.jsonl").read_bytes() == metrics


HOLD = """
import sys, time
from jaxrl.run.folder import RunFolder
with RunFolder.open(sys.argv[1]).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_r13_the_second_process_names_the_first_and_takes_over_when_it_is_gone(tmp_path, capsys):
    folder = toy_run.new_folder(tmp_path)
    owner = subprocess.Popen([sys.executable, "-c", HOLD, folder.path], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "locked\n"
        began = time.monotonic()
        with (
            pytest.raises(UsageError, match=f"in use by pid {owner.pid} on {socket.gethostname()}"),
            folder.lock(),
        ):
            pass
        assert time.monotonic() - began < 2  # the promise is "at once", not a speed
    finally:
        owner.kill()
        owner.wait()
    with folder.lock():
        assert f"taking over the lock of pid {owner.pid}" in capsys.readouterr().err
    with folder.lock():
        assert "taking over" not in capsys.readouterr().err


def test_r13_a_lock_of_another_host_goes_stale_with_its_heartbeat(tmp_path):
    folder = toy_run.new_folder(tmp_path)
    folder.set_status("running")
    (folder.path / "run.lock").write_text("pid 1 on elsewhere\n")
    with pytest.raises(UsageError, match="in use by pid 1 on elsewhere"), folder.lock():
        pass
    status = (folder.path / "status.json").read_text()
    year = folder.status["heartbeat_utc"][:4]
    (folder.path / "status.json").write_text(status.replace(year, "2001"))
    with folder.lock():
        pass
