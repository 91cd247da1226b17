"""Two processes make the population of one, and resume it."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.reliability import toy_run
from tests.reliability.processes import finish, start

SECONDS = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def both(folder, *args):
    port = free_port()
    pair = [start(folder.path, "--process", f"{i}:2:{port}", *args) for i in range(2)]
    try:
        return [finish(p, SECONDS) for p in pair]
    finally:
        for p in pair:
            p.kill()


@pytest.mark.multiprocess
def test_two_processes_equal_one_and_resume_after_a_signal(tmp_path):
    config = toy_run.Config(updates=20, members=3)  # padded to four
    expected = toy_run.run(config)
    folder = toy_run.new_folder(tmp_path, updates=20, members=3)
    results = both(folder, "--signal", "15:8", "--cores", 1)
    assert [status for status, _ in results] == [143, 143], results
    assert folder.status["state"] == "preempted"
    results = both(folder, "--cores", 1)
    assert [status for status, _ in results] == [0, 0], results
    assert str(folder.load_result()["digest"]) == toy_run.digest(expected)
    assert [r["update"] for r in folder.read_metrics()] == [4, 8, 10, 12, 16, 20]
    assert folder.meta["processes"] == 2


@pytest.mark.multiprocess
def test_the_command_line_starts_several_processes(tmp_path):
    """The same command in every process; the first one's folder, figures and page; numbers as of one."""
    command = [
        sys.executable,
        "-m",
        "jaxrl.cli.main",
        "run",
        "baselines/ppo_cartpole",
        "smoke",
        "--devices",
        "2",
    ]
    together = [
        "--coordinator",
        f"127.0.0.1:{free_port()}",
        "--processes",
        "2",
        "--out",
        str(tmp_path / "two"),
    ]
    pair = [
        subprocess.Popen([*command, *together, "--process", str(i)], stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    try:
        results = [finish(p, SECONDS) for p in pair]
    finally:
        for p in pair:
            p.kill()
    assert [status for status, _ in results] == [0, 0], results
    subprocess.run([*command, "--out", str(tmp_path / "one")], check=True, timeout=SECONDS)
    (two,), (one,) = (sorted(Path(tmp_path / n).glob("*/*/*/*/")) for n in ("two", "one"))
    assert (two / "report.html").is_file() and list((two / "figures").glob("*.png"))
    with np.load(two / "result.npz") as a, np.load(one / "result.npz") as b:
        assert sorted(a.files) == sorted(b.files)
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
