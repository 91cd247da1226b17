"""What the host says while a run goes on."""

import io
import sys
import time

import numpy as np

from jaxrl.run import log


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_history_fills_what_is_absent_and_what_is_not_finite():
    history = log.History()
    history.add(
        {"stage": "s", "update": 2, "wall_s": 1.0, "cpu_s": 1.0, "a": [1.0, None], "v": [[1.0], [np.inf]]}
    )
    history.add({"stage": "s", "update": 5, "wall_s": 2.0, "cpu_s": 2.0, "a": [2.0, 3.0], "eval": [7.0, 8.0]})
    update, arrays = history.arrays()
    assert update.tolist() == [2, 5]
    nan = np.nan
    np.testing.assert_array_equal(arrays["a"], [[1.0, nan], [2.0, 3.0]])
    np.testing.assert_array_equal(arrays["v"], [[[1.0], [nan]], [[nan], [nan]]])
    np.testing.assert_array_equal(arrays["eval"], [[nan, nan], [7.0, 8.0]])
    assert sorted(arrays) == ["a", "eval", "v"]


def test_progress_says_rates_time_left_metrics_and_divergence():
    reporter = log.Reporter(lambda text: None, "train", updates=40, env_steps=100)
    pace = log.Pace()
    pace.add(10, 5.0)
    reporter.progress(10, pace, 2, {"loss": [1.0, 3.0, None], "v": [[1.0], [2.0], [3.0]]})
    assert reporter.text == "10/40 updates (25%), 2 updates/s, 200 env steps/s, 15 s left, loss 2, 2 diverged"


def test_without_a_terminal_silence_is_broken(monkeypatch):
    monkeypatch.setattr(log, "SILENCE_S", 1.2)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    lines = []
    reporter = log.Reporter(lines.append, "train", updates=40, env_steps=None)
    with reporter.running(shown=True):
        reporter.now("compiling")
        deadline = time.monotonic() + 30
        while not lines and time.monotonic() < deadline:
            time.sleep(0.05)
    assert lines[0] == "train: compiling"


def test_on_a_terminal_a_bar_moves(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    reporter = log.Reporter(lambda text: None, "train", updates=40, env_steps=None)
    with reporter.running(shown=True):
        reporter.progress(10, log.Pace(), 0, {})
        deadline = time.monotonic() + 30
        while "10/40 updates" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "25%" in terminal.getvalue()


class Cell:
    """A place below a notebook's cell that notes what it shows."""

    def __init__(self):
        self.shown = []

    def update(self, text):
        self.shown.append(text.data)


def test_in_a_notebook_the_bar_is_drawn_in_one_place_and_removed_at_the_end(monkeypatch):
    cell = Cell()
    monkeypatch.setattr(log, "notebook_cell", lambda: cell)
    reporter = log.Reporter(lambda text: None, "train", updates=40, env_steps=None)
    with reporter.running(True):
        reporter.progress(10, log.Pace(), 0, {"loss": [1.0]})
        assert cell.shown[-1] == "[#####               ]  25% train: 10/40 updates (25%), loss 1"
    assert cell.shown[-1] == ""


def test_outside_of_a_notebook_there_is_no_cell():
    assert log.notebook_cell() is None


def test_returns_come_first_in_a_progress_line_and_brackets_are_no_markup(monkeypatch):
    metrics = {"explained_variance": [0.5], "kl": [0.1], "loss[/val]": [2.0], "train/return": [7.0]}
    assert [name for name, _ in log.summary(metrics)] == ["train/return", "explained_variance", "kl"]
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    reporter = log.Reporter(lambda text: None, "train", 2, None)
    with reporter.running(True):
        reporter.progress(1, log.Pace(), 0, {"loss[/val]": [2.0]})
        reporter._bar.refresh()
    assert "loss[/val] 2" in terminal.getvalue().replace("\n", "")


def test_member_values_are_lists_with_none_for_those_who_are_absent():
    x = np.float32([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
    assert log.member_values(x, None)[1]
    values, broken = log.member_values(x, np.array([False, True, False]))
    assert values == [[1.0, 2.0], [None, None], [5.0, 6.0]] and not broken
    assert log.member_values(np.float32([1.0, np.inf]), np.array([True, False])) == ([None, np.inf], True)
