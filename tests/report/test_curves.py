"""Learning curves as arrays and as a frame, against the lines that were logged."""

import sys

import numpy as np
import pytest

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.report.curves import curves, frame

LINES = (
    {"stage": "explore", "update": 2, "env_steps": 20, "loss": [1.0, 2.0]},
    {"stage": "plan", "update": 1, "env_steps": 30, "loss": [3.0, None], "value": [[1.0, 2.0], [3.0, 4.0]]},
    {"stage": "plan", "update": 3, "env_steps": 50, "loss": [5.0, 6.0]},
)


class Folder:
    """The part of a run folder that curves are made from."""

    path = "run"

    def __init__(self, lines=LINES):
        self._lines = list(lines)

    def read_metrics(self):
        return self._lines


def test_the_last_stage_is_read_with_nan_for_what_is_absent():
    found = curves(Folder())
    assert list(found) == ["update", "env_steps", "loss", "value"]
    np.testing.assert_array_equal(found["update"], [1, 3])
    np.testing.assert_array_equal(found["env_steps"], [30, 50])
    np.testing.assert_array_equal(found["loss"], [[3, np.nan], [5, 6]])
    np.testing.assert_array_equal(found["value"], [[[1, 2], [3, 4]], [[np.nan] * 2] * 2])


def test_a_stage_is_chosen_by_name():
    np.testing.assert_array_equal(curves(Folder(), "explore")["loss"], [[1, 2]])
    with pytest.raises(UsageError, match="no stage 'learn'; there are explore, plan"):
        curves(Folder(), "learn")


def test_a_run_without_a_log_point_is_refused():
    with pytest.raises(UsageError, match="nothing was logged"):
        curves(Folder([{"note": "begun"}]))


def test_a_frame_has_a_row_per_stage_update_and_member():
    pytest.importorskip("pandas")
    table = frame(Folder())
    assert list(table.columns) == ["stage", "update", "member", "env_steps", "loss", "value[0]", "value[1]"]
    assert table[["stage", "update", "member"]].values.tolist() == [
        ["explore", 2, 0], ["explore", 2, 1], ["plan", 1, 0], ["plan", 1, 1], ["plan", 3, 0], ["plan", 3, 1],
    ]  # fmt: skip
    np.testing.assert_array_equal(table["loss"], [1, 2, 3, np.nan, 5, 6])
    np.testing.assert_array_equal(table["value[1]"], [np.nan, np.nan, 2, 4, np.nan, np.nan])


def test_without_pandas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'jaxrl\[notebook\]'"):
        frame(Folder())
