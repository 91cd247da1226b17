"""The deadline page: self-contained, with the numbers of the arrays, and says what uses the horizon."""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from experiments.meta import deadline, deadline_page
from experiments.meta.deadline_page import Deadline, Interval, Row, Rule, render
from experiments.meta.returns import diverged_as_lowest
from jaxrl.core.errors import UsageError
from jaxrl.meta import zoo
from jaxrl.meta.certificates import grid

N, TOLD = 4, (2, 4, 8)
CHANGE = "r: change beyond the interval when told another horizon (1) or none (0)"
SLOPES = np.random.default_rng(0).uniform(-1.5, 1.5, (5, 2, 3))
SLICES = np.array([[0, 1, 2, 2], [0, 3, 1, 4], [0, 3, 3, 3]])


def shown(**change):
    """A page of one rule with an irregular name."""
    rows = [
        Row("told the truth", "N", Interval(100.0, (90.0, 110.0))),
        Row("told 2N", "2N", Interval(95.5, (85.0, 105.0)), Interval(-4.5, (-6.0, -3.0)), "told the truth"),
    ]
    fields = {
        "title": "Deadline",
        "record": "Ten lifetimes.",
        "horizon": N,
        "told": TOLD,
        "names": ("N/2", "N", "2N"),
        "ratio": np.array([0.5, 1.0, 2.0]),
        "advantage": (1.0, -1.0),
        "slopes": SLOPES,
        "rules": [Rule("a </script>", SLICES, rows, "It uses the horizon.")],
    }
    return Deadline(**(fields | change))


def data_of(text):
    return json.loads(re.search(r"<script type='application/json' id='data'>(.*?)</script>", text, re.S)[1])


def test_page_holds_its_data_and_asks_for_nothing_else():
    text = render(shown())
    data = data_of(text)
    np.testing.assert_allclose(np.array(data["slopes"]) / data["scale"], SLOPES, atol=5e-4)
    (rule,) = data["rules"]
    assert rule["name"] == "a </script>" and rule["slices"] == SLICES.tolist()
    assert [rule["rows"][0][k] for k in ("mean", "low", "high")] == [100, 90, 110]
    assert rule["rows"][1]["change"] == {"mean": -4.5, "low": -6, "high": -3}
    assert "Ten lifetimes." in text and len(text) < 40_000
    # the name of the markup of pictures is the only address
    assert set(re.findall(r"https?://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)|fetch\(|import |eval\(", text)


def test_page_is_operated_by_keyboard_and_read_aloud():
    text = render(shown())
    for control in ("<select id='rule'", "<input type='range' id='n'", "<input type='range' id='told'"):
        label = re.search(rf"<label><span>[^<]+</span>{re.escape(control)}", text)
        assert label, control
    assert "tabindex" not in text  # all controls are native ones
    assert text.count("role='img' aria-label=") == 2 and text.count("aria-live='polite'") == 2
    assert "value='1'><output id='horizon'" in text  # starts at the truth


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rules": []}, "rules: there is no rule"),
        ({"slopes": np.zeros((5, 2, 2))}, r"slopes: must be finite numbers \[K, 2, 3\]"),
        ({"slopes": np.full((5, 2, 3), np.nan)}, "slopes: must be finite numbers"),
        ({"names": ("N/2", "2N", "4N")}, "names: must name every horizon told, one of them N"),
        ({"advantage": (2.0, -1.0)}, "advantage: must be at most 4, one of them 1"),
        ({"slopes": SLOPES[:3]}, r"rules\[0\].slices: must lie in 0 .. 2"),
        ({"horizon": 3}, r"rules\[0\].slices: must be \[3, 3\], got \[3, 4\]"),
        ({"slopes": np.zeros((150_000, 2, 3))}, "more than 2000000; show fewer rules"),
    ],
)
def test_pages_that_cannot_be_shown_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        render(shown(**change))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_page_reads_the_slopes_of_the_update_and_of_the_horizon_told():
    script = (Path(deadline_page.__file__).parent / "deadline_page.js").read_text()
    part = re.search(r"(// ---- reading.*?)// ---- page", script, re.S)[1]
    body = (
        "[[3, 0], [3, 1], [1, 2]].map(([n, told]) => [slopes(0, n, told), seen(n, told),"
        " at(slopes(0, n, told)[0], 1.5), interval({mean: 2, low: 1.5, high: 2.5})])"
    )
    program = (
        f"const data = {json.dumps(data_of(render(shown())))};{part}\nconsole.log(JSON.stringify({body}));"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    for (rows, progress, between, text), (k, share) in zip(
        found, ((2, 1), (4, 0.75), (3, 0.125)), strict=True
    ):
        np.testing.assert_allclose(rows, SLOPES[k], atol=5e-4)
        assert progress == share and text == "2 [1.5, 2.5]"
        np.testing.assert_allclose(between, SLOPES[k][0, 1:].mean(), atol=1e-3)


def test_saved_slopes_are_those_of_the_rule_at_the_progress_that_it_sees(monkeypatch):
    saved = {}

    class Folder:
        @staticmethod
        def save_result(**arrays):
            saved.update(arrays)

    monkeypatch.setattr(deadline, "evaluate_objective", lambda *a, **k: np.zeros(2))
    config = deadline.PRESETS["smoke"]
    deadline.run(config, Folder())
    assert saved["returns"].shape == (2, 5, 2) and len(np.unique(saved["slice"][0])) == 1  # PPO is blind
    entry = zoo.load("ta_lpo_cartpole")
    for told, n, progress in ((0, 5, 1.0), (3, 4, 0.5), (6, 4, 0.0625)):
        own = grid(
            entry.objective,
            entry.phi,
            horizon=8.0,
            progress=(progress,) * config.horizon,
            ratios=deadline.RATIOS,
            advantages=np.array(deadline.ADVANTAGES),
        ).slope[0]
        np.testing.assert_allclose(saved["slope"][saved["slice"][1, told, n]], own.T, atol=1e-3)


def by(truth, quarter, four):
    half = np.zeros(12)
    values = (truth, quarter, four, half, half)
    return dict(zip(deadline.SITUATIONS, (np.asarray(x, float) for x in values), strict=True))


def test_verdict_names_what_changes_beyond_its_interval_and_nothing_else():
    truth, noise = np.arange(12.0), np.array([-3.0, 3.0] * 6)
    blind = deadline.verdict("r", by(truth, truth, truth))
    assert blind == "r does not use the horizon: whatever it is told, every return is the same."
    unclear = deadline.verdict("r", by(truth, truth + noise, truth))
    assert unclear == (
        "r does not use the horizon, as far as 12 lifetimes show: told N/4 or 4N, its return does not differ"
        " beyond the interval."
    )
    used = deadline.verdict("r", by(truth, truth + noise, truth - 2 + noise / 9))
    assert used == "r uses the horizon: its return changes when it is told 4N by -2."
    result = {"rule": np.array(["r"]), "returns": np.array([list(by(truth, truth - 1, truth).values())])}
    scores = deadline.scores(result)
    assert scores[CHANGE].tolist() == [1]
    assert scores["r, told N/4 minus told the truth"].values.tolist() == [-1] * 12


def test_impossible_configurations_are_refused(tmp_path):
    smoke = deadline.PRESETS["smoke"]
    with pytest.raises(UsageError, match=r"Config\.horizon: must be a multiple of 8"):
        dataclasses.replace(smoke, horizon=12)
    with pytest.raises(UsageError, match="no 'pppo'; did you mean 'ppo'"):
        deadline.entries(dataclasses.replace(smoke, rules=("pppo",)))
    arrays = {"W1": np.ones((8, 2), np.float32), "w2": np.ones(2, np.float32)}
    own = zoo.save("ta_lpo_cartpole", "lpo", {"hidden": 2}, arrays, {}, tmp_path)
    with pytest.raises(UsageError, match="every name must occur once"):
        deadline.entries(dataclasses.replace(smoke, files=(str(own),)))
    with pytest.raises(UsageError, match=r"Config\.lifetimes: must be a multiple of 16 beyond it, got 40"):
        dataclasses.replace(smoke, lifetimes=40)


def test_two_comparisons_are_judged_at_a_wider_interval_than_one():
    values = np.linspace(-1, 1, 12)
    (low, high), (wide_low, wide_high) = (deadline.interval(values, level).ends for level in (0.95, 0.975))
    assert wide_low < low < 0 < high < wide_high
    shift = 0.5 * (high + wide_high)  # above 0 at 95 %, not at 97.5 %
    truth = np.zeros(12)
    assert deadline.interval(values + shift).ends[0] > 0
    assert deadline.changes(by(truth, values + shift, truth)) == []


def test_diverged_lifetimes_count_as_the_lowest_return():
    filled, other = diverged_as_lowest(np.array([1.0, np.nan]), np.array([[-3.0], [np.inf]]))
    assert filled.tolist() == [1, -3] and other.tolist() == [[-3], [-3]]
    with pytest.raises(UsageError, match="every lifetime diverged; take a smaller learning rate"):
        diverged_as_lowest(np.full(3, np.nan))
