"""Tables and pictures of the dual RL experiments: rows say why they are not judged; scores against shares."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from experiments.dual_rl import offline_rl, shares
from jaxrl.core.errors import UsageError
from jaxrl.report import plots, tables

EXPECTED = Path(shares.__file__).parent / "expected.json"


def _result(task: str, method: str) -> dict[str, np.ndarray]:
    """Two seeds of one method and two of cloning, whose scores are 20 and 40, 10 and 30."""
    return {
        "task": np.array([task]),
        "method": np.array([method, "BC paired"]),
        "eval_return": np.array([[[2.0, 4.0], [1.0, 3.0]]]),
        "reference": np.array([[0.0, 10.0]]),
        "ess": np.array([[[0.25, 0.5], [1.0, 1.0]]]),
    }


def test_every_row_is_judged_or_says_why_not():
    entries = tables.read_expected(EXPECTED)
    silent = [e["reason"] for labels in entries.values() for e in labels.values() if e["paper"] is None]
    assert set(silent) == {"no published value", "other data", "exploratory"}


def test_value_losses_of_the_paper_are_compared_with_those_before_it_seed_by_seed():
    returns = np.array([[[3.0, 5.0], [1.0, 6.0], [0.0, 0.0]]])
    result = {"task": np.array(["a"]), "method": np.array(["f-DVL tv", "IQL", "BC"]), "eval_return": returns}
    found = offline_rl.scores(result | {"reference": np.array([[0.0, 10.0]])})
    difference = found["f-DVL tv less IQL, a"]
    np.testing.assert_allclose(difference.values, [20, -10])
    assert difference.derived and [label for label in found if "less" in label] == ["f-DVL tv less IQL, a"]


def test_a_panel_has_a_dot_per_seed_at_its_share_and_the_mean_of_cloning():
    _, axes = plots.subplots()
    shares.panel(axes[0, 0], _result("a", "f-DVL tv share"), "a")
    dots, line = axes[0, 0].get_lines()
    np.testing.assert_allclose(dots.get_xydata(), [[0.25, 20], [0.5, 40]])
    assert to_hex(dots.get_color()).upper() == plots.PALETTE[1] and dots.get_marker() == "s"
    assert set(line.get_ydata()) == {20.0} and line.get_linestyle() == "--"


def test_suites_of_several_results_share_a_panel(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(shares, "panel", lambda ax, result, task: drawn.append((id(ax), task)))
    results = [_result("a", "IQL"), _result("b", "IQL"), _result("a", "XQL")]
    files = shares.picture(results, tmp_path / "shares")
    assert [file.name for file in files] == [f"shares.{kind}" for kind in plots.FORMATS]
    assert [task for _, task in drawn] == ["a", "a", "b"] and len({ax for ax, _ in drawn}) == 2


def test_results_without_shares_are_refused(tmp_path):
    result = {name: value for name, value in _result("a", "IQL").items() if name != "ess"}
    with pytest.raises(UsageError, match="run offline_rl again"):
        shares.picture([result], tmp_path / "shares")


def test_published_results_are_found():
    found = shares.published()
    assert {"maze2d-umaze", "hopper-medium-expert"} <= {t for r in found for t in r["task"].tolist()}
