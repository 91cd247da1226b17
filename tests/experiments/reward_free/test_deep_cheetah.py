"""Scores of the cheetah's runs on made-up arrays."""

import numpy as np
import pytest

pytest.importorskip("brax")

from experiments.reward_free import deep_cheetah


def test_scores_count_trained_members_once_and_keep_explorers_tasks_and_learners_apart():
    result = {
        "explorer": np.array(["held", "RND"]),
        "task": np.array(["run_back"]),
        "learner": np.array(["TD3", "IQL"]),
        "speeds": np.array([[[-1.0, 0, 2], [-2, 0, 2]], [[0, 1, 2], [0, 1, 5]]]),
        "collected": np.array([[[30.0, 40], [50, 60]]]),
        "returns": np.arange(8.0).reshape(1, 2, 2, 2),
    }
    found = deep_cheetah.scores(result)
    width = "{}: width of the middle 90 % of velocities, m/s"
    np.testing.assert_allclose(found[width.format("held")].values, [3, 4])
    assert found[width.format("held")].derived and not found[width.format("RND")].derived
    np.testing.assert_array_equal(found["RND, run back: return of TD3"], [2, 3])
    np.testing.assert_array_equal(found["held, run back: return of IQL"], [4, 5])
    np.testing.assert_allclose(found["RND, run back: collected per 1000 steps"].values, [50, 60])
