"""Signals end a run in order, and a second one at once."""

import signal

import pytest

from jaxrl.core.errors import Preempted
from jaxrl.run.checkpoint import Checkpoints
from tests.reliability import toy_run
from tests.reliability.processes import run as run_script


def test_sigterm_saves_and_resume_completes(tmp_path):
    config = toy_run.Config()
    folder = toy_run.new_folder(tmp_path)
    status, text = run_script(folder.path, "--signal", f"{signal.SIGTERM:d}:12")
    assert status == 143, text
    assert folder.status["state"] == "preempted" and folder.status["exit_code"] == 143
    steps = Checkpoints(folder.checkpoints / "train").steps()
    assert 12 <= steps[-1] < config.updates
    assert f"stopped by SIGTERM after update {steps[-1]}; checkpoint verified" in folder.status["error"]
    assert "jaxrl resume" in folder.status["error"]
    Checkpoints(folder.checkpoints / "train").verify(steps[-1])
    status, text = run_script(folder.path)
    assert status == 0, text
    assert folder.status["state"] == "done"
    assert str(folder.load_result()["digest"]) == toy_run.digest(toy_run.run(config))


def test_sigint_stops_in_order_once_and_at_once_twice(tmp_path):
    folder = toy_run.new_folder(tmp_path)
    status, _ = run_script(folder.path, "--signal", f"{signal.SIGINT:d}:12:2")
    assert status == 130
    assert folder.status["state"] == "running"  # at once: nothing was tidied up
    assert Checkpoints(folder.checkpoints / "train").steps() == [10]
    status, text = run_script(folder.path, "--signal", f"{signal.SIGINT:d}:30")
    assert status == 130, text
    assert folder.status["state"] == "preempted"
    assert "continuing after update 10" in text


def test_sigterm_outside_training_ends_the_run_in_order(tmp_path):
    """While a stage that does not train computes, a result is saved, or between two stages."""
    folder = toy_run.new_folder(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    match = "stopped by SIGTERM; continue with `jaxrl resume"
    with pytest.raises(Preempted, match=match) as stopped, folder.session():
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("went on")
    assert stopped.value.exit_code == 143
    assert (folder.status["state"], folder.status["exit_code"]) == ("preempted", 143)
    assert signal.getsignal(signal.SIGTERM) is before
