"""Every theorem holds, every control is rejected, and the committed report says so."""

import importlib

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from theory import report
from theory.exact.result import Result, identity, inequality


@pytest.fixture(scope="module", params=report.names())
def check(request):
    return report.run_check(request.param)


def robust(markdown):
    """Rows of the report by theorem, without the columns whose last digit depends on the machine."""
    rows = [line.split("|")[1:-1] for line in markdown.splitlines() if line.startswith("| [")]
    return {row[0].partition("]")[0].strip(" ["): (row[1], row[3], row[4], row[6]) for row in rows}


def test_theorem_holds_its_control_is_rejected_and_the_report_is_current(check):
    assert check.result.ok, check
    assert not check.control.ok, check
    committed = robust(report.REPORT.read_text())
    assert robust(report.markdown([check])).items() <= committed.items()


def test_report_lists_exactly_the_theorems_there_are():
    """In order; rows of a whole folder may stay behind when it is removed, until the next full run."""
    listed = [name for name in robust(report.REPORT.read_text()) if (report.FOLDER / name).parent.exists()]
    assert listed == report.names()


@pytest.mark.parametrize("name", report.names())
def test_files_have_the_parts_of_a_theorem(name):
    module = importlib.import_module(f"theory.{name.replace('/', '.')}")
    assert "\nStatement. " in module.__doc__
    assert "\nCheck. " in module.__doc__
    assert callable(module.instance)


def fake(result, control):
    return report.Check("foundations/thm_00_fake", "Nothing.", result, control)


@pytest.mark.parametrize(
    ("result", "control", "ok", "word"),
    [
        (Result(0.0, 1e-10, True), Result(1.0, 1e-10, False), True, "| pass |"),
        (Result(1.0, 1e-10, False), Result(1.0, 1e-10, False), False, "| FAIL |"),
        (Result(0.0, 1e-10, True), Result(0.0, 1e-10, True), False, "FAIL: accepted"),
    ],
)
def test_a_failed_check_and_an_accepted_control_are_failures(monkeypatch, capsys, result, control, ok, word):
    check = fake(result, control)
    assert check.ok == ok
    assert word in report.markdown([check])
    monkeypatch.setattr(report, "run_check", lambda name: check)
    assert report.main(["thm_01"]) == (0 if ok else 1)
    assert ("FAIL" in capsys.readouterr().out) == (not ok)


def test_only_a_full_run_writes_the_report(monkeypatch, tmp_path):
    good = fake(Result(0.0, 1e-10, True), Result(1.0, 1e-10, False))
    monkeypatch.setattr(report, "run_check", lambda name: good)
    monkeypatch.setattr(report, "REPORT", tmp_path / "REPORT.md")
    report.main(["thm_01"])
    assert not report.REPORT.exists()
    report.main([])
    assert report.REPORT.read_text() == report.markdown([good] * len(report.names()))


def test_run_checks_selects_by_parts_of_names_and_refuses_unknown_ones(monkeypatch):
    monkeypatch.setattr(report, "run_check", lambda name: name)
    assert report.run_checks(["bellman", "gae"]) == [
        "foundations/thm_01_bellman_contraction",
        "foundations/thm_05_gae_telescoping",
    ]
    with pytest.raises(UsageError, match="select: 'nonsense'"):
        report.run_checks(["nonsense"])


def test_results_reject_what_is_not_small_and_what_is_not_a_number():
    assert identity([1e-11], [[-9e-11]]).ok
    assert not identity([1e-11], [-2e-10]).ok
    assert not identity([np.nan]).ok
    assert inequality([1.0, 2.0], [1.0, 3.0]) == Result(0.0, 1e-12, True)
    assert not inequality([1.0, 2.0], [1.5, 1.9]).ok
    assert not inequality([np.nan], [1.0]).ok
