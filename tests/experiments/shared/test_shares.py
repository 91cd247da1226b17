"""Shares of runs: their values, which runs count, and the interval."""

import numpy as np
from scipy import stats

from experiments.shared.shares import share


def test_the_interval_holds_the_probabilities_that_a_binomial_test_does_not_reject():
    """Clopper and Pearson: at the ends, a tail of the binomial distribution has probability 2.5 %."""
    found = share(np.array([True, False, False, True, False]), better="more", note="here")
    assert found.values.tolist() == [1, 0, 0, 1, 0]
    assert (found.better, found.note, found.derived) == ("more", "here", True)
    low, high = found.interval
    np.testing.assert_allclose([stats.binom.sf(1, 5, low), stats.binom.cdf(2, 5, high)], 0.025, rtol=1e-9)


def test_all_or_none_of_few_runs_have_an_interval():
    np.testing.assert_allclose(share(np.ones(5, bool)).interval, (0.025 ** (1 / 5), 1), rtol=1e-9)
    np.testing.assert_allclose(share(np.zeros(3, bool)).interval, (0, 1 - 0.025 ** (1 / 3)), rtol=1e-9)


def test_members_that_do_not_count_have_no_value():
    holds, among = np.array([True, True, False]), np.array([True, False, True])
    found = share(holds, among)
    np.testing.assert_array_equal(found.values, [1, np.nan, 0])
    assert found.interval == share(np.array([True, False])).interval
    assert share(holds, np.zeros(3, bool)).interval is None
