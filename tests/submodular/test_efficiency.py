"""Steps to a level, with curves that never reach it, against values worked out by hand."""

import numpy as np
import pytest

from experiments.submodular import study
from experiments.submodular.efficiency import first_of_both, steps_to
from jaxrl.report.statistics import proportion_interval


def test_steps_are_those_of_the_first_point_at_the_level_and_nan_where_there_is_none():
    curve = np.array([[1.0, 5.0, 2.0, 9.0], [1.0, 2.0, 3.0, 4.9], [5.0, 0.0, 0.0, 0.0], [np.nan] * 4])
    np.testing.assert_array_equal(steps_to(curve, [10, 20, 30, 40], 5.0), [20, np.nan, 10, np.nan])
    np.testing.assert_array_equal(
        steps_to(curve, [10, 20, 30, 40], [6.0, 2.0, 5.0, 0.0]), [40, 20, 10, np.nan]
    )


def test_first_of_both_counts_two_that_never_arrive_against():
    found = first_of_both(np.array([1.0, np.nan, 2.0, 5.0]), np.array([2.0, np.nan, np.nan, 4.0]))
    assert found.values.tolist() == [1, 0, 1, 0]
    assert found.interval == proportion_interval(2, 4)


def test_scores_of_a_study_hold_last_values_steps_and_the_paired_comparison():
    value = np.array([[[10.0, 19.0], [19.5, 20.0]], [[1.0, 2.0], [3.0, 18.95]]])
    result = {
        "problem": np.array(["items"]), "learner": np.array(["M", "ModPO"]), "n_envs": np.array(8),
        "value_0": value, "best_0": np.array([21.0]),
    }  # fmt: skip
    found = study.scores(result)
    assert found["items: M"].tolist() == [19.0, 20.0]
    assert found["items: M, steps to 90 %"].values.tolist() == [1.5 * 8 * 39]
    assert found["items: ModPO, steps to 90 %"].note.startswith("median; 1 of 2")
    assert found["items: M minus ModPO"].values.tolist() == pytest.approx([17.0, 1.05])
    assert found["items: M at 90 % before ModPO"].values.tolist() == [1.0, 1.0]
