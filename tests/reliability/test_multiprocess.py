"""R3 and architecture check 20: two processes make the population of one, and resume it."""

import socket

import pytest
import toy_run
from processes import finish, start

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
