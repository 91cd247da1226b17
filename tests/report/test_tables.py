"""Tables of scores: values by hand, verdicts, published results, drift by changing a file."""

import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from jaxrl.cli import api
from jaxrl.cli.main import main
from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.report import tables
from jaxrl.report.tables import Score
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder
from tests.run import ring

X = np.array([8.0, np.nan, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])


@pytest.mark.parametrize(
    ("better", "planned"),
    [
        ("more", (2 + 3 + 4 + 5 + 6) / 5),  # 1 1 2 3 4 5 6 7 8 without two at each end
        ("less", (3 + 4 + 5 + 6 + 7) / 5),  # 1 2 3 4 5 6 7 8 8, likewise
        (None, None),
    ],
)
def test_rows_count_and_aggregate_both_ways(better, planned):
    (row,) = tables.rows({"a": Score(X, better)})
    assert row[:5] == ("a", 9, 8, 1, 0)
    assert row.mean == 4.5
    low, high = stats.ttest_1samp(X[np.isfinite(X)], 0).confidence_interval(0.95)
    assert row.interval == pytest.approx((low, high))
    assert (row.iqm, row.iqm_interval) == ((3 + 4 + 5 + 6) / 4, None)
    assert row.iqm_planned == planned


def test_divergence_never_improves_an_error():
    """Half of the members diverged: the aggregate over planned ones is not below that of the finished."""
    x = np.array([0.1, 0.2, 0.3, 0.4, np.nan, np.nan, np.nan, np.nan])
    (row,) = tables.rows({"mse": Score(x, "less")})
    assert row.iqm_planned > row.iqm
    (row,) = tables.rows({"return": Score(x, "more")})
    assert row.iqm_planned < row.iqm


def test_an_interval_of_the_interquartile_mean_from_ten_members_on():
    (row,) = tables.rows({"a": np.arange(10.0)})
    assert row.iqm_interval[0] < row.iqm < row.iqm_interval[1]
    assert row.iqm_planned == row.iqm  # nothing is missing, so no direction is needed


def test_one_member_has_no_interval():
    (row,) = tables.rows({"a": np.array([3.0])})
    assert (row.mean, row.interval, row.iqm_interval) == (3.0, None, None)


def test_a_stopped_run_has_preempted_members_and_no_diverged_ones():
    (row,) = tables.rows({"a": np.array([1.0, np.nan])}, "preempted")
    assert row[1:5] == (2, 1, 0, 1)
    (row,) = tables.rows({"a": np.full(3, np.nan)})
    assert row == ("a", 3, 0, 3, 0, None, None, None, None, None)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (np.zeros((2, 2)), r"'a': expected \[n members\], got shape \(2, 2\)"),
        (np.zeros(0), "got shape"),
        (Score(np.zeros(2), "higher"), "better: must be 'more', 'less' or None, got 'higher'"),
    ],
)
def test_bad_scores_are_named(score, message):
    with pytest.raises(UsageError, match=message):
        tables.rows({"a": score})


def test_plain_arrays_have_the_direction_of_their_module():
    class Module:
        BETTER = "less"

        @staticmethod
        def scores(result):
            return {"error": result["e"], "slope": Score(np.array([1.0]), None, (0.9, 1.1), "regression")}

    found = tables.module_scores(Module, {"e": np.arange(3.0)})
    assert (found["error"].better, found["slope"].better) == ("less", None)


@pytest.mark.parametrize(
    ("rule", "paper", "tolerance", "verdict"),
    [
        ("within", 10.0, 1.0, "within"),
        ("within", 12.0, 1.0, "outside"),
        ("within", 8.0, 1.0, "outside"),
        ("at least", 8.0, 0.0, "within"),
        ("at least", 11.0, 0.5, "outside"),
        ("at most", 12.0, 0.0, "within"),
        ("at most", 9.0, 0.5, "outside"),
        ("within", None, 0.0, "not judged"),
    ],
)
def test_verdicts(rule, paper, tolerance, verdict):
    entry = {"rule": rule, "paper": paper, "tolerance": tolerance}
    ours, found = tables.judge(np.array([9.0, 11.0]), entry)
    assert found == verdict
    assert ours == "10 [-2.706, 22.71] (n = 2)"  # Student's t: 12.706 standard errors of 1


def test_a_diverged_seed_is_outside_whatever_the_others_did():
    entry = {"rule": "within", "paper": 10.0, "tolerance": 0.0}
    assert tables.judge(np.array([9.0, 11.0, np.nan]), entry) == (
        "10 [-2.706, 22.71] (n = 2 of 3)",
        "outside",
    )


def test_what_did_not_run_or_only_diverged():
    entry = {"rule": "within", "paper": 1.0, "tolerance": 1.0}
    assert tables.judge(None, entry) == ("-", "not run")
    assert tables.judge(np.array([np.nan]), entry) == ("- (n = 0 of 1)", "outside")
    assert tables.judge(np.array([np.nan]), {**entry, "paper": None}) == ("- (n = 0 of 1)", "not judged")
    never = tables.Score(np.array([np.nan]), note="0 of 5 seeds reach it")
    assert tables.judge(never, entry) == ("- (0 of 5 seeds reach it)", "outside")


def test_intervals_of_one_number_and_of_an_experiment():
    entry = {"rule": "within", "paper": 1.0, "tolerance": 1.0}
    assert tables.judge(np.array([1.5]), entry) == ("1.5 (n = 1)", "within")
    slope = Score(np.array([1.5]), interval=(1.25, 1.75), note="regression over 4 sizes")
    assert tables.judge(slope, entry) == ("1.5 [1.25, 1.75] (regression over 4 sizes)", "within")


# ------------------------------------------------------------------------------------------------ publish


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A root with expectations and one published run, and the place of the run below it; only copied."""
    root = ring.make_root(tmp_path_factory.mktemp("root"))
    family = root / "experiments" / "toy"
    entry = {"preset": "smoke", "paper": 0.1, "tolerance": 5.0, "source": "table 1", "reason": "a toy"}
    other = {**entry, "preset": "paper", "rule": "at least"}
    (family / "expected.json").write_text(json.dumps({"ring": {"point 0": entry, "point 1": other}}))
    (family / "README.md").write_text("# Toys\n\nBefore.\n")
    folder = api.run("toy/ring", "smoke", root=root)
    assert main(["report", str(folder.path), "--publish", "--root", str(root)]) == 0
    return root, folder.path.relative_to(root)


@pytest.fixture
def published(once, tmp_path):
    """A copy of the root that a test may change, and its run."""
    root, place = once
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    return copy, RunFolder.open(copy / place)


def test_publish_writes_the_table_into_the_readme_and_only_there(published):
    root, folder = published
    readme = root / "experiments" / "toy" / "README.md"
    text = readme.read_text()
    assert text.startswith(f"# Toys\n\nBefore.\n\n{tables.BEGIN}\n\n| experiment |")
    final = folder.load_result()["value"][0, :, -1]
    line = re.search(
        r"`toy/ring smoke` \| point 0 \| 0.1 \u00b1 5 \(table 1\) \| (\S+) .* within \| a toy", text
    )
    assert float(line[1]) == pytest.approx(final.mean(), rel=1e-3)
    assert "| `toy/ring paper` | point 1 | >= 0.1, tolerance 5 (table 1) | - | not run | a toy |" in text
    readme.write_text(text + "After.\n")
    tables.write_readme(root, "toy")
    assert readme.read_text() == text + "After.\n"


def test_the_table_follows_the_published_npz(published):
    """Drift: the README must be what the committed arrays say."""
    root, _ = published
    readme = root / "experiments" / "toy" / "README.md"
    assert tables.family_table(root, "toy") in readme.read_text()
    file = root / "experiments" / "toy" / "results" / "ring-smoke.npz"
    np.savez(file, value=np.full((1, 2, 3), 77.0), update=np.arange(3))
    assert tables.family_table(root, "toy") not in readme.read_text()
    assert "77 [77, 77] (n = 2) | outside" in tables.family_table(root, "toy")


def test_published_bytes_are_those_of_the_run(published):
    root, folder = published
    copy = root / "experiments" / "toy" / "results" / "ring-smoke.npz"
    assert copy.read_bytes() == (folder.path / "result.npz").read_bytes()


def test_what_cannot_be_published(published, monkeypatch):
    root, folder = published
    module = catalogue.load(root, "toy/ring")
    folder.set_status("failed", exit_code=4)  # members diverged, the run is complete
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    with pytest.raises(UsageError, match="publish at most 10"):
        tables.publish(folder, module, root)
    folder.set_status("failed", exit_code=6)
    with pytest.raises(UsageError, match="only finished runs are published"):
        tables.publish(folder, module, root)
    monkeypatch.delattr(module, "scores")
    with pytest.raises(UsageError, match="there is nothing to publish"):
        tables.publish(folder, module, root)


@pytest.mark.parametrize(
    "content",
    ["[", "[]", '{"ring": 3}', '{"ring": {"a": {"paper": 1}}}', '{"ring": {"a": {"rule": "never"}}}'],
)
def test_bad_expectations_are_named(tmp_path, content):
    file = tmp_path / "expected.json"
    file.write_text(content)
    with pytest.raises(CorruptInput, match=re.escape(str(file))):
        tables.read_expected(file)


ENTRY = {"preset": "smoke", "paper": 1, "source": "s"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paper": "1"}, "paper: must be a finite number or null, got '1'"),
        ({"paper": True}, "paper: must be"),
        ({"tolerance": -1}, "tolerance: must be a finite number >= 0, got -1"),
        ({"source": None}, "source: must be text"),
        ({"reason": "a | b"}, "reason: must be text without"),
    ],
)
def test_bad_values_of_expectations_are_named(tmp_path, change, message):
    file = tmp_path / "expected.json"
    file.write_text(json.dumps({"ring": {"point 0": {**ENTRY, **change}}}))
    with pytest.raises(CorruptInput, match=f"ring: point 0: {message}"):
        tables.read_expected(file)


def test_a_key_given_twice_is_refused(tmp_path):
    file = tmp_path / "expected.json"
    text = json.dumps({"ring": {"point 0": ENTRY}})
    for twice in (text.replace('"paper": 1', '"paper": 1, "paper": 2'), text[:-1] + ', "ring": {}}'):
        file.write_text(twice)
        with pytest.raises(CorruptInput, match="is given twice"):
            tables.read_expected(file)


def test_a_label_that_no_result_has_is_refused(published):
    root, _ = published
    file = root / "experiments" / "toy" / "expected.json"
    file.write_text(file.read_text().replace("point 0", "pont 0"))
    with pytest.raises(CorruptInput, match=r"ring-smoke.npz has no 'pont 0'; did you mean 'point 0'"):
        tables.family_table(root, "toy")


def test_a_result_of_another_version_is_refused(published):
    root, _ = published
    np.savez(root / "experiments" / "toy" / "results" / "ring-smoke.npz", older_name=np.zeros(3))
    with pytest.raises(CorruptInput, match="its scores need the array 'value', which the result lacks"):
        tables.family_table(root, "toy")


def test_a_publication_that_fails_leaves_result_and_table_as_they_were(published):
    root, folder = published
    family = root / "experiments" / "toy"
    before = (family / "results" / "ring-smoke.npz").read_bytes()
    folder.save_result(older_name=np.zeros(3))
    with pytest.raises(CorruptInput, match="which the result lacks"):
        tables.publish(folder, catalogue.load(root, "toy/ring"), root)
    assert (family / "results" / "ring-smoke.npz").read_bytes() == before
    assert tables.family_table(root, "toy") in (family / "README.md").read_text()


def test_a_readme_without_its_end_mark_is_refused(published):
    root, _ = published
    readme = root / "experiments" / "toy" / "README.md"
    readme.write_text(readme.read_text().replace(tables.END, ""))
    with pytest.raises(CorruptInput, match="is missing"):
        tables.write_readme(root, "toy")


def test_a_derived_quantity_without_a_value_is_no_diverged_member():
    members, derived = np.array([1.0, np.nan]), tables.Score(np.array([2.0, np.nan]), derived=True)
    found = tables.rows({"members": members, "derived": derived})
    assert [(row.planned, row.finished, row.diverged) for row in found] == [(2, 1, 1), (1, 1, 0)]


def test_an_entry_of_another_name_shows_the_quantity_that_it_names(published):
    root, _ = published
    file = root / "experiments" / "toy" / "expected.json"
    content = json.loads(file.read_text())
    content["ring"]["again"] = {**content["ring"]["point 0"], "quantity": "point 0"}
    file.write_text(json.dumps(content))
    lines = [line.split(" | ") for line in tables.family_table(root, "toy").splitlines()]
    first, again = (next(x for x in lines if len(x) > 1 and x[1] == name) for name in ("point 0", "again"))
    assert first[2:] == again[2:] and again[3] != "-"
