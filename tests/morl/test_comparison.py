"""The comparison's tables: a hypervolume never stands alone, and differences are those of pairs."""

import numpy as np
import pytest

from experiments.morl import comparison
from jaxrl.core.errors import UsageError

EXACT = np.array([[10.0, 11.0, 12.0], [13.0, 12.0, 14.0], [9.0, 9.5, 10.5]])


@pytest.fixture
def result():
    """Three methods on one task with three seeds, the second above the first on every seed."""
    none = np.full((3, 2), np.nan)
    rounds = np.stack([np.full((3, 2), 0.95), np.full((3, 2), 0.4), none])
    return {
        "task": np.array(["dst-convex-episodes"]),
        "method": np.array(["barrier", "no constraint", "scalarised"]),
        "volume_0": EXACT + 1,
        "exact_0": EXACT,
        "fresh_0": EXACT + 0.5,
        "certified_0": EXACT - 2,
        "feasible_0": rounds,
        "gain_0": 10 * rounds,
        "support_0": np.array(9.0),
    }


def cells(result):
    lines = comparison.text(result, [1000]).splitlines()
    return [[x.strip() for x in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_every_row_with_a_hypervolume_says_whether_constraints_were_kept(result):
    head, *rows = cells(result)
    kept = head.index("feasible")
    assert [row[kept] for row in rows] == ["0.950", "0.400", "no constraint", "no constraint"]
    assert all(row[head.index("exact")] != "-" for row in rows)


def test_selection_fresh_and_certified_volumes_stand_side_by_side(result):
    head, first, *_ = cells(result)
    assert [first[head.index(n)] for n in ("selection", "fresh", "certified", "exact")] == [
        "12.0",
        "11.5",
        "9.0",
        "11.0",
    ]


def test_differences_are_of_pairs_with_students_interval(result):
    """Differences 3, 1, 2: mean 2, standard error 1 / sqrt(3), quantile 4.3027 for two degrees of freedom."""
    found = comparison.scores(result)
    one = found["dst-convex-episodes: no constraint - barrier, exact"]
    np.testing.assert_allclose(one.values, [3, 1, 2])
    low = found["dst-convex-episodes: no constraint - barrier (lower end), exact"].values[0]
    assert low == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-5)
    # 13 and 14 exceed all three, 12 exceeds two and ties one
    chance = found["dst-convex-episodes: P(no constraint > barrier)"].values[0]
    assert chance == pytest.approx((3 + 2.5 + 3) / 9)


def test_methods_without_rounds_report_no_feasibility(result):
    found = comparison.scores(result)
    assert "dst-convex-episodes: scalarised, feasible" not in found
    np.testing.assert_allclose(found["dst-convex-episodes: barrier, feasible"], 0.95)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("scalarised",)}, 'must hold "barrier"'),
        ({"tasks": ()}, "Config.tasks: must hold at least one name"),
        ({"tasks": ("fruit-tree-5",)}, "has 6 objectives, need 2"),
        ({"initial": 121}, "updates of learners are no multiple of 120"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        comparison.Config(**changes)


def test_every_preset_spends_equal_transitions():
    for config in comparison.PRESETS.values():
        for name in config.tasks:
            assert comparison._transitions(config, name) % (6 * config.updates) == 0
