"""Paired differences: the lower end by hand, and the number of pairs by trying it."""

import numpy as np
import pytest

from experiments.shared.paired import differences, pairs_needed


def test_lower_end_of_three_pairs_by_hand():
    """Mean 2, standard deviation 1, t of 2 degrees of freedom 4.302653."""
    found = differences("a - b", "car", np.array([3.0, 5.0, 7.0]), np.array([2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(found["a - b, car"].values, [1, 2, 3])
    low = found["a - b (lower end), car"]
    assert float(low.values[0]) == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-5)
    assert low.better == "more" and low.note == "of 3 pairs"
    for values in (np.ones(1), np.array([1.0, np.nan, 3.0])):
        (_, low) = differences("a", "b", values, np.zeros(values.size)).values()
        assert np.isnan(low.values[0])


def test_differences_say_how_many_pairs_a_width_takes():
    """A standard deviation of 10, as below."""
    values = np.array([-10.0, 0.0, 10.0])
    found = differences("a - b", "car", values, np.zeros(3), 3.0)
    assert found["a - b, car"].note == "3 pairs; an interval of +-3 takes 46"
    assert differences("a - b", "car", values[:1], np.zeros(1), 3.0)["a - b, car"].note == "1 pairs"


def test_pairs_needed_are_the_first_number_whose_interval_is_narrow_enough():
    """With a standard deviation of 10, 46 pairs have 2.0141 * 10 / sqrt(46) = 2.97, and 45 have 3.004."""
    difference = np.array([-10.0, 0.0, 10.0])
    assert pairs_needed(difference, 3.0) == 46
    assert pairs_needed(difference, 1000.0) == 2
    assert pairs_needed(np.array([np.nan, 1.0]), 3.0) is None
    many = pairs_needed(10 * difference, 3.0)
    assert 4200 < many < 4400
