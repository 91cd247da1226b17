"""Every theorem holds, every control is rejected, and the committed report of each family says so."""

import importlib

import pytest

from jaxrl.core.errors import UsageError
from theory import report
from theory.exact.result import Result

FAMILIES = sorted({report.family(name) for name in report.names()})


@pytest.fixture(scope="module", params=report.names())
def check(request):
    return report.run_check(request.param)


def robust(markdown):
    """Rows of a report by theorem, without the columns whose last digit depends on the machine."""
    rows = [line.split("|")[1:-1] for line in markdown.splitlines() if line.startswith("| [")]
    return {row[0].partition("]")[0].strip(" ["): (row[1], row[3], row[4], row[6]) for row in rows}


def test_theorem_holds_its_control_is_rejected_and_the_report_is_current(check):
    assert check.result.ok, check
    assert not check.control.ok, check
    committed = robust(report.report(report.family(check.name)).read_text())
    assert robust(report.markdown([check])).items() <= committed.items()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_report_lists_exactly_the_theorems_of_its_family(family):
    listed = [f"{family}/{file}" for file in robust(report.report(family).read_text())]
    assert listed == report.names([f"{family}/"])


@pytest.mark.parametrize("name", report.names())
def test_files_have_the_parts_of_a_theorem(name):
    module = importlib.import_module(f"theory.{name.replace('/', '.')}")
    assert "\nStatement. " in module.__doc__
    assert "\nCheck. " in module.__doc__
    assert callable(module.instance)


def fake(result, control, name="foundations/thm_00_fake"):
    return report.Check(name, "Nothing.", result, control)


GOOD = fake(Result(0.0, 1e-10, True), Result(1.0, 1e-10, False))


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
    assert report.main(["thm_01_bellman"]) == (0 if ok else 1)
    assert ("FAIL" in capsys.readouterr().out) == (not ok)


@pytest.fixture
def tree(monkeypatch, tmp_path):
    """Two families, one theorem of `a` and two of `b`, whose checks pass."""
    for name in ("a/thm_01_one", "b/thm_01_two", "b/thm_02_three"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).with_suffix(".py").write_text("")
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "run_check", lambda name: GOOD._replace(name=name))
    return tmp_path


@pytest.mark.parametrize(
    ("select", "written"),
    [([], ["a", "b"]), (["b/"], ["b"]), (["one"], ["a"]), (["two"], []), (["two", "three"], ["b"])],
)
def test_the_report_of_a_family_is_written_when_all_of_its_theorems_have_run(tree, select, written):
    assert report.main(select) == 0
    assert sorted(path.parent.name for path in tree.glob("*/REPORT.md")) == written


def test_a_report_holds_its_family_alone_and_a_new_family_leaves_the_others_as_they_are(tree):
    report.main([])
    before = (tree / "a" / "REPORT.md").read_bytes()
    assert b"thm_01_one" in before and b"two" not in before
    (tree / "c").mkdir()
    (tree / "c" / "thm_01_new.py").write_text("")
    report.main(["c/"])
    assert (tree / "a" / "REPORT.md").read_bytes() == before and (tree / "c" / "REPORT.md").exists()


def test_run_checks_selects_by_parts_of_names_and_refuses_unknown_ones(monkeypatch):
    monkeypatch.setattr(report, "run_check", lambda name: name)
    assert report.run_checks(["bellman", "gae"]) == [
        "foundations/thm_01_bellman_contraction",
        "foundations/thm_05_gae_telescoping",
    ]
    with pytest.raises(UsageError, match="select: 'nonsense'"):
        report.run_checks(["nonsense"])
