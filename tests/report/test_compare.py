"""Runs beside each other."""

import json

import numpy as np
import pytest

from jaxrl.cli import api
from jaxrl.core.errors import UsageError
from jaxrl.report import compare
from jaxrl.report.tables import Score
from tests.report.markup import Markup


@pytest.fixture(scope="module")
def other(root):
    """Two learning rates, of which the first is that of `finished`, and more updates."""
    return api.run("toy/ring", "quick", root=root, grid={"hyper.lr": (0.1, 0.2)}, updates=8)


@pytest.mark.parametrize(
    ("x", "y", "better", "expected"),
    [
        ([3, 4], [1, 2], "more", 1.0),
        ([3, 4], [1, 2], "less", 0.0),
        ([1, 3], [2, 2], "more", 0.5),
        ([1, 2], [2, 3], "more", 1 / 8),  # pairs: 1<2, 1<3, 2=2, 2<3
        ([np.nan, 4], [1, 2], "more", 0.5),  # a diverged member loses to everything
        ([np.nan, 4], [1, 2], "less", 0.0),
        ([np.nan, np.nan], [np.nan, 2], "less", 0.25),  # two diverged members are a tie
        ([np.nan, 4], [1, 2], None, 1.0),  # among finished members
    ],
)
def test_probability_that_a_member_is_better(x, y, better, expected):
    value, interval = compare.probability_of_better(Score(np.array(x), better), Score(np.array(y), better))
    assert value == pytest.approx(expected)
    assert interval is None  # below ten members


def test_ten_members_have_an_interval_around_the_probability():
    rng = np.random.default_rng(0)
    x, y = Score(rng.normal(0.5, 1, 12), "more"), Score(rng.normal(0, 1, 10), "more")
    value, (low, high) = compare.probability_of_better(x, y)
    assert low < value < high


def test_a_page_and_json_say_what_differs(finished, other, root, tmp_path, document):
    code, found = document(
        "compare", finished.path, other.path, "--page", tmp_path / "new" / "page.html", "--root", root
    )
    assert code == 0, found
    assert [(r["name"], r["run"]) for r in found["runs"]] == [
        ("A", str(finished.path)),
        ("B", str(other.path)),
    ]
    assert "updates: 6 -> 8" in found["differences"]["B"]
    values = {run.path: run.load_result()["value"][:, :, -1] for run in (finished, other)}
    (row,) = found["improvement"]
    a, b = values[finished.path][0], values[other.path][0]
    expected = np.mean([(p > q) + 0.5 * (p == q) for p in b for q in a])
    assert (row["run"], row["than"]) == ("B", "A")
    assert row["probability"] == pytest.approx(expected)
    means = {(r["run"], r["label"]): r["mean"] for r in found["scores"]}
    assert means["B", "point 1"] == pytest.approx(values[other.path][1].mean())
    assert {c["run"] for c in found["curves"] if c["metric"] == "loss"} == {"A", "B"}
    files = [tmp_path / "new" / name for name in ("page.html", "page.json")]
    assert found["files"] == [str(f) for f in files]
    assert {**json.loads(files[1].read_text()), "files": found["files"]} == found
    text = " ".join(Markup(files[0].read_text()).words)
    assert "updates: 6 -> 8" in text
    assert "B over A" in text


def test_runs_without_a_comparison_say_why(finished, other):
    def runs(*scores):
        return [compare.Compared(n, finished, s) for n, s in zip("AB", scores, strict=True)]

    score = Score(np.array([1.0, 2.0]))
    assert "B has none; an experiment gives them by `scores`" in compare.nothing_compared(
        runs({"x": score}, {})
    )
    apart = runs({"lr 1": score, "lr 2": score}, {"default": score})
    assert compare.nothing_compared(apart).endswith("A has lr 1, lr 2; B has default")


def test_less_than_two_runs_are_refused(finished):
    with pytest.raises(UsageError, match="takes 2 to 26 runs, got 1"):
        compare.read([(finished, None)])


def test_runs_without_shared_rows_or_metrics_are_still_shown(finished, other, monkeypatch):
    runs = compare.read([(finished, None), (other, None)])
    found = compare.document(runs)
    assert (found["scores"], found["improvement"]) == ([], [])
    single = {"lr 0.1": Score(np.ones(2), "more")}, {"lr 0.2": Score(np.zeros(2), "more")}
    runs = [run._replace(scores=s) for run, s in zip(runs, single, strict=True)]
    (row,) = compare.document(runs)["improvement"]
    assert (row["label"], row["probability"]) == ("lr 0.1 / lr 0.2", 0.0)
