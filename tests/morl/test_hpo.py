"""The search for hyper-parameters: its configurations, and what it refuses."""

import numpy as np
import pytest

from experiments.morl import hpo
from jaxrl.core.errors import UsageError


def test_configurations_start_with_the_default_and_lie_within_their_ranges():
    found = hpo.drawn(hpo.Config(configurations=200))
    assert found[0] == hpo.DEFAULT and len(found) == 200
    for name, (low, high) in hpo.RANGES.items():
        values = np.array([one[name] for one in found[1:]])
        assert values.min() >= low and values.max() <= high
        # half of the values lie below the middle, by the logarithm where the range has several decades;
        # 199 draws leave [70, 129] with probability 3e-5 each
        middle = np.sqrt(low * high) if name in ("lr", "entropy", "t") else (low + high) / 2
        assert 70 <= (values < middle).sum() <= 129


def test_tuned_and_default_are_compared_seed_by_seed():
    result = {
        "searched": np.array([[1.0, 2.0], [4.0, 2.0]]),
        "best": np.array(1),
        "task": np.array(["dst-convex", "dst-concave"]),
        **{f"default_{i}": np.array([1.0, 2.0, 3.0]) for i in range(2)},
        **{f"best_{i}": np.array([2.0, 2.0, 5.0]) for i in range(2)},
    }
    found = hpo.scores(result)
    np.testing.assert_array_equal(found["tuned, seeds of tuning"], [4, 2])
    difference = found["tuned minus default, dst-concave"]
    np.testing.assert_array_equal(difference.values, [1, 0, 2])
    assert difference.derived


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"configurations": 1}, "2 or more, got 1"),
        ({"other": "minecart"}, "Config.other: must be a Deep Sea"),
    ],
)
def test_searches_without_a_choice_or_a_task_are_refused(change, words):
    with pytest.raises(UsageError, match=words):
        hpo.Config(**change)
