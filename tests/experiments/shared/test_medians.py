"""Medians over members against values worked out by hand, and the coverage of their intervals."""

import itertools

import numpy as np
import pytest

from experiments.shared.medians import median_of, median_of_capped


def test_members_that_never_reach_the_level_count_as_the_latest():
    found = median_of(np.array([3.0, np.nan, 1.0]))
    assert found.values.tolist() == [3.0] and found.note == "median; 2 of 3 seeds reach it"
    never = median_of(np.array([3.0, np.nan, np.nan]))
    assert np.isnan(never.values).all() and "1 of 3" in never.note and never.interval is None


@pytest.mark.parametrize("n", [6, 10, 20])
def test_the_interval_of_the_median_covers_at_least_95_percent(n):
    """By enumeration: ranks enclose the median when neither too many nor too few values lie below it."""
    interval = median_of(np.arange(1.0, n + 1)).interval
    low, high = int(interval[0]), int(interval[1])
    assert low == n + 1 - high
    inside = sum(low <= sum(signs) <= high - 1 for signs in itertools.product((0, 1), repeat=min(n, 12)))
    if n <= 12:
        assert 0.95 <= inside / 2**n < 1
    else:
        assert (low, high) == (6, 15)


def test_five_members_have_no_interval_and_an_open_one_is_named_in_the_note():
    assert median_of(np.arange(5.0)).interval is None
    found = median_of(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, np.nan, np.nan]))
    assert found.interval is None and found.values[0] == 5.5 and found.note.endswith("interval from 2 on")


def test_the_median_of_capped_values_has_an_interval_of_order_statistics_from_six_members_on():
    found = median_of_capped(np.array([0.0, 0.5, 1.0, 1.0, 1.0]), "more")
    assert found.values.tolist() == [1.0] and found.interval is None
    assert found.note == "median of 5 seeds, 0 to 1" and found.better == "more"
    assert median_of_capped(np.array([0.0, 0.2, 0.5, 0.9, 1.0, 1.0]), "more").interval == (0.0, 1.0)
    assert np.isnan(median_of_capped(np.array([1.0, np.nan, 1.0]), "more").values).all()
