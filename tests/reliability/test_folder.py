"""Storage that fails, folders that cannot be used, folders that are in use."""

import errno
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from jaxrl.core.errors import JaxrlError, StorageError, UsageError
from jaxrl.run.folder import RunFolder, atomic_write, run_paths
from tests.reliability import toy_run


def test_metrics_without_space_are_not_silent(tmp_path):
    folder = toy_run.new_folder(tmp_path, updates=8)
    (folder.path / "metrics.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(StorageError, match=r"metrics\.jsonl: cannot write \d+ bytes \(No space left"),
        folder.session(),
    ):
        toy_run.run(toy_run.Config(updates=8), folder)
    assert folder.status["state"] == "failed" and folder.status["exit_code"] == 6


def test_folders_that_cannot_be_created(tmp_path):
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


def test_a_finished_run_is_restored_not_overwritten(tmp_path):
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


def test_the_second_process_names_the_first_and_takes_over_when_it_is_gone(tmp_path, capsys):
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


def test_a_lock_of_another_host_goes_stale_with_its_heartbeat(tmp_path):
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


def faulty(monkeypatch, name, error, when=lambda count, args: True, module="os"):
    """`module.name` raises OSError `error` in the calls that `when(count, arguments)` chooses."""
    original, count = getattr(sys.modules[module], name), [0]

    def call(*args, **options):
        count[0] += 1
        if when(count[0], args):
            raise OSError(error, os.strerror(error))
        return original(*args, **options)

    monkeypatch.setattr(f"{module}.{name}", call)


def of_status(count, args):
    return str(args[-1]).endswith("status.json")


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_the_heartbeat_tells_who_has_the_run(tmp_path, monkeypatch, capsys, error):
    folder = toy_run.new_folder(tmp_path, updates=8)
    faulty(monkeypatch, "flock", error, module="fcntl")
    toy_run.run(toy_run.Config(updates=8), folder)
    assert folder.status["state"] == "done"
    said = capsys.readouterr().err
    assert said.count("this file system has no locks") == 1
    (folder.path / "run.lock").write_text("pid 1 on elsewhere\n")
    folder.set_status("running")
    with pytest.raises(UsageError, match="in use by pid 1 on elsewhere"), folder.lock():
        pass
    (folder.path / "run.lock").write_text(f"pid {os.getppid()} on {socket.gethostname()}\n")
    with pytest.raises(UsageError, match="in use by pid"), folder.lock():
        pass
    (folder.path / "run.lock").write_text(f"pid {2**22 + 1} on {socket.gethostname()}\n")
    with folder.lock():
        assert "taking over the lock of pid" in capsys.readouterr().err


def test_a_lock_that_fails_otherwise_is_a_storage_error(tmp_path, monkeypatch):
    folder = toy_run.new_folder(tmp_path)
    faulty(monkeypatch, "flock", errno.EIO, module="fcntl")
    message = r"run\.lock: cannot lock the run folder \(Input/output error\)"
    with pytest.raises(StorageError, match=message), folder.session():
        pass


@pytest.mark.parametrize("name", ["replace", "fsync"])
@pytest.mark.parametrize("error", [errno.ESTALE, errno.EIO])
def test_a_heartbeat_that_is_lost_is_a_warning(tmp_path, monkeypatch, capsys, name, error):
    folder = toy_run.new_folder(tmp_path, updates=8)
    beats = []
    original = RunFolder.set_status

    def set_status(self, state, **fields):
        if "stage" not in fields:
            return original(self, state, **fields)
        beats.append(fields)
        with monkeypatch.context() as patch:
            faulty(patch, name, error)
            return original(self, state, **fields)

    monkeypatch.setattr(RunFolder, "set_status", set_status)
    toy_run.run(toy_run.Config(updates=8), folder)
    assert beats and folder.status["state"] == "done"
    assert "warning: heartbeat lost: " in capsys.readouterr().err


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_folders_that_cannot_be_synchronised_are_written_all_the_same(tmp_path, monkeypatch, error):
    import stat

    faulty(monkeypatch, "fsync", error, when=lambda _, args: stat.S_ISDIR(os.fstat(args[0]).st_mode))
    atomic_write(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize("name", ["replace", "fsync", "open", "stat"])
def test_every_other_failure_is_a_storage_error_that_names_the_file(tmp_path, monkeypatch, name):
    """One after another: the k-th call of each function that concerns the run fails, until none is left."""
    failed = 0
    for k in range(1, 12):
        folder = toy_run.new_folder(tmp_path / str(k))
        with monkeypatch.context() as patch:
            counted = [0]

            def due(_, args, counted=counted, folder=folder, k=k):
                if name in ("open", "stat", "replace") and str(folder.path) not in str(args[0]):
                    return False
                counted[0] += 1
                return counted[0] == k

            faulty(patch, name, errno.EIO, when=due)
            try:
                with folder.session():
                    folder.log({"stage": "train", "update": 1, "a": [1.0]})
                    folder.sync_metrics()
                    folder.save_result(x=1)
            except JaxrlError as error:
                assert str(folder.path) in str(error) and "\n" not in str(error)
                failed += 1
            done = counted[0] < k
        if done:
            break
    assert failed > 0 or name == "stat"


@pytest.mark.parametrize(
    ("beat", "taken"),
    [
        ("2001-01-01T00:00:00+00:00", True),
        ("2001-01-01T00:00:00", True),  # without a zone
        ("2999-01-01T00:00:00+00:00", False),  # a host whose clock is ahead
        ("2999-01-01T00:00:00", False),
        ("yesterday", True),
        ("", True),
    ],
)
def test_heartbeats_of_any_form_are_read(tmp_path, beat, taken):
    folder = toy_run.new_folder(tmp_path)
    folder.set_status("running")
    (folder.path / "run.lock").write_text("pid 1 on elsewhere\n")
    status = json.loads((folder.path / "status.json").read_text())
    (folder.path / "status.json").write_text(json.dumps(status | {"heartbeat_utc": beat}))
    assert folder.state == ("killed" if taken else "running")
    if taken:
        with folder.lock():
            pass
    else:
        with (
            pytest.raises(UsageError, match=r"in use by pid 1 on elsewhere.*delete run\.lock"),
            folder.lock(),
        ):
            pass


def test_a_run_whose_process_was_killed_does_not_stay_running(tmp_path):
    folder = toy_run.new_folder(tmp_path)
    folder.set_status("running")
    assert folder.state == "killed"  # nobody ever had it
    with folder.session():
        assert folder.state == RunFolder.open(folder.path).state == "running"
    assert folder.state == "done"
    owner = subprocess.Popen([sys.executable, "-c", HOLD, folder.path], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "locked\n"
        folder.set_status("running")
        assert folder.state == "running"
    finally:
        owner.kill()
        owner.wait()
    assert folder.state == "killed"


def test_runs_are_not_looked_for_inside_runs(tmp_path):
    folder = toy_run.new_folder(tmp_path)
    (folder.path / "checkpoints").mkdir()
    (folder.path / "checkpoints" / "config.json").write_text("{}")
    assert list(run_paths(tmp_path)) == [folder.path / "config.json"]
