"""Aggregates against values worked out by hand and slow loops; intervals by simulated coverage."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from jaxrl.report import statistics

# two tasks, four runs: pooled and sorted 0 1 2 3 4 5 6 100, two values cut at each end
HAND = np.array([[0.0, 5.0], [1.0, 3.0], [2.0, 6.0], [100.0, 4.0]])


def test_iqm_by_hand():
    assert statistics.iqm(HAND) == (2 + 3 + 4 + 5) / 4


@pytest.mark.parametrize(
    ("n", "kept"), [(1, [0]), (3, [0, 1, 2]), (4, [1, 2]), (5, [1, 2, 3]), (8, [2, 3, 4, 5])]
)
def test_iqm_cuts_the_floor_of_a_quarter(n, kept):
    values = np.arange(n) ** 2.0
    assert statistics.iqm(values[::-1, None]) == values[kept].mean()


def test_iqm_is_the_trimmed_mean_along_curves():
    x = np.random.default_rng(0).normal(size=(7, 10, 3))
    expected = [scipy_stats.trim_mean(row, 0.25, axis=None) for row in x]
    np.testing.assert_allclose(statistics.iqm(x), expected, rtol=1e-12)


def test_median_is_over_tasks_of_the_mean_over_runs():
    three = np.array([[0.0, 10.0, 4.0], [2.0, 30.0, 8.0]])  # task means 1, 20, 6
    assert statistics.median(three) == 6.0
    assert statistics.median(HAND) == (25.75 + 4.5) / 2


def test_optimality_gap_ignores_what_exceeds_one():
    assert statistics.optimality_gap(np.array([[0.5, 2.0], [1.0, 0.0]])) == 1 - (0.5 + 1 + 1 + 0) / 4


def test_probability_of_improvement_counts_ties_half_and_averages_tasks():
    x = np.array([[1.0, 0.0], [3.0, 0.0]])
    y = np.array([[1.0, 5.0], [2.0, 5.0], [0.0, 5.0]])
    # task 0: 1 against 1, 2, 0 scores 0.5 + 0 + 1; 3 scores 3; in all 4.5 of 6; task 1: never
    assert statistics.probability_of_improvement(x, y) == (4.5 / 6 + 0) / 2
    assert statistics.probability_of_improvement(x, x) == 0.5


def test_performance_profile_is_strict():
    np.testing.assert_array_equal(
        statistics.performance_profile(HAND, np.array([-1.0, 3.0, 99.0, 100.0])), [1, 4 / 8, 1 / 8, 0]
    )


@pytest.mark.parametrize("shape", [(3, 1), (3, 4), (2, 3, 2)])
def test_probability_of_improvement_refuses_other_tasks(shape):
    with pytest.raises(ValueError, match=r"scores: \(3, 2\) and .* differ in more than the number of runs"):
        statistics.probability_of_improvement(np.zeros((3, 2)), np.zeros(shape))


# ----------------------------------------------------------------------------------------------- intervals


def covered(interval, truth):
    """Fraction of simulated samples whose interval holds the truth."""
    low, high = interval
    return np.mean((low <= truth) & (truth <= high))


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_intervals_of_means_cover_on_normals(n):
    """40,000 samples: the standard error of a coverage of .95 is .0011; .94 is 9 of them away."""
    x = np.random.default_rng(n).normal(3.0, 2.0, size=(40_000, n, 1))
    assert 0.94 <= covered(statistics.mean_interval(x), 3.0) <= 0.96


def test_intervals_of_means_over_tasks_cover_with_unlike_tasks():
    scale = np.array([1.0, 5.0, 0.1])
    x = np.random.default_rng(0).normal(size=(40_000, 3, 3)) * scale
    assert covered(statistics.mean_interval(x), 0.0) >= 0.94


@pytest.mark.parametrize("n", [10, 20])
def test_bootstrap_intervals_cover_on_normals_from_ten_runs_on(n):
    """4,000 samples of 1000 resamples each: the standard error of a coverage of .95 is .0034."""
    x, y = np.random.default_rng(n).normal(size=(2, 4000, n, 1))
    assert covered(statistics.bootstrap_interval(statistics.iqm, x, resamples=1000), 0.0) >= 0.94
    improved = statistics.probability_of_improvement
    better = statistics.bootstrap_interval(improved, x[:500], y[:500], resamples=1000)
    assert covered(better, 0.5) >= 0.94


def test_percentiles_alone_cover_too_little():
    """The fault that `mean_interval` replaces: about .76 at three runs instead of .95."""
    x = np.random.default_rng(0).normal(size=(4000, 3, 1))
    assert covered(statistics.percentiles(statistics.mean, x, resamples=1000), 0.0) < 0.8


def test_intervals_of_means_are_students_of_the_values_and_of_paired_differences():
    x = np.array([1.0, 4.0, 2.0, 9.0])
    y = np.array([0.5, 3.0, 2.5, 7.0])
    for sample, test in ((x, scipy_stats.ttest_1samp(x, 0)), (x - y, scipy_stats.ttest_rel(x, y))):
        low, high = statistics.mean_interval(sample[:, None], level=0.9)
        expected = test.confidence_interval(0.9)
        np.testing.assert_allclose((low, high), (expected.low, expected.high))


def test_few_runs_have_no_interval_but_that_of_their_mean():
    x = np.arange(9.0)[:, None]
    assert statistics.mean_interval(x[:1]) is None
    assert statistics.bootstrap_interval(statistics.iqm, x) is None
    more = np.arange(10.0)[:, None]
    assert statistics.bootstrap_interval(statistics.iqm, more) is not None
    assert statistics.bootstrap_interval(statistics.probability_of_improvement, more, x) is None


def test_intervals_of_proportions_hold_exactly_the_probabilities_that_the_count_does_not_refute():
    """At its ends a count at least as large, or as small, has probability 2.5 %; none and all by hand."""
    low, high = statistics.proportion_interval(3, 10)
    assert scipy_stats.binom.sf(2, 10, low) == pytest.approx(0.025, rel=1e-9)
    assert scipy_stats.binom.cdf(3, 10, high) == pytest.approx(0.025, rel=1e-9)
    assert statistics.proportion_interval(0, 5) == (0.0, pytest.approx(1 - 0.025**0.2))
    assert statistics.proportion_interval(5, 5) == (pytest.approx(0.025**0.2), 1.0)
    with pytest.raises(ValueError, match=r"^count: must lie in 0 .. n with n >= 1, got 6 of 5"):
        statistics.proportion_interval(6, 5)


def test_expanded_percentiles_of_many_runs_are_the_plain_ones():
    x = np.random.default_rng(3).normal(size=(400, 1))
    expanded = statistics.bootstrap_interval(statistics.iqm, x, resamples=20_000)
    np.testing.assert_allclose(
        expanded, statistics.percentiles(statistics.iqm, x, resamples=20_000), atol=2e-3
    )


def test_percentiles_reproduce_every_draw_of_a_tiny_case():
    # two runs {0, 1}: the mean of a resample is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4
    low, high = statistics.percentiles(statistics.mean, np.array([[0.0], [1.0]]), resamples=4000, level=0.4)
    assert (low, high) == (0.5, 0.5)
    low, high = statistics.percentiles(statistics.mean, np.array([[0.0], [1.0]]), resamples=4000, level=0.6)
    assert (low, high) == (0.0, 1.0)


def test_percentiles_width_is_the_normal_one_for_many_runs():
    x = np.random.default_rng(1).normal(size=(400, 1))
    low, high = statistics.percentiles(statistics.mean, x, resamples=20_000)
    assert (high - low) == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.03)


def test_percentiles_are_stratified():
    # each task is constant over runs, so that resampling within tasks changes nothing
    x = np.tile(np.array([1.0, 10.0, 100.0]), (5, 1))
    assert statistics.percentiles(statistics.mean, x) == (37.0, 37.0)


def test_percentiles_draw_tasks_independently():
    # with one draw of runs for both tasks the sum would always be 1
    x = np.array([[0.0, 1.0], [1.0, 0.0]])
    low, high = statistics.percentiles(statistics.mean, x, level=0.8)
    assert (low, high) == (0.25, 0.75)


def test_percentiles_of_a_curve_are_those_of_its_points():
    x = np.random.default_rng(2).normal(size=(6, 8, 1))
    low, high = statistics.percentiles(statistics.iqm, x, resamples=500)
    alone = [statistics.percentiles(statistics.iqm, point, resamples=500) for point in x]
    np.testing.assert_array_equal(np.stack([low, high], 1), alone)


def test_percentiles_of_two_samples():
    low, high = statistics.percentiles(
        statistics.probability_of_improvement, np.full((4, 1), 2.0), np.full((3, 1), 1.0)
    )
    assert (low, high) == (1.0, 1.0)


def test_a_diverged_run_is_refused_and_counted_as_worst_on_request():
    x = np.array([[1.0], [np.nan], [np.inf], [3.0]])
    with pytest.raises(ValueError, match="2 of 4 are not finite"):
        statistics.iqm(x)
    np.testing.assert_array_equal(statistics.diverged_as_worst(x, -5.0)[:, 0], [1, -5, -5, 3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.iqm(np.zeros(3)), "expected"),
        (lambda: statistics.iqm(np.zeros((0, 1))), "expected"),
        (lambda: statistics.bootstrap_interval(np.mean, np.arange(5.0)), "expected"),
        (lambda: statistics.bootstrap_interval(np.mean, np.full((3, 1), np.nan)), "3 of 3 are not finite"),
        (lambda: statistics.bootstrap_interval(np.mean), "give at least one sample"),
        (lambda: statistics.percentiles(statistics.iqm, HAND, resamples=0), "resamples"),
        (lambda: statistics.percentiles(statistics.iqm, HAND, level=1.0), "level"),
        (lambda: statistics.mean_interval(HAND, level=0.0), "level"),
        (lambda: statistics.worst_finite(HAND, "larger"), "better"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_diverged_run_counts_as_the_worst_in_the_declared_direction():
    x = np.array([0.1, np.nan, 0.4, np.inf])
    assert statistics.worst_finite(x, "more") == 0.1
    assert statistics.worst_finite(x, "less") == 0.4
    assert statistics.worst_finite(x, None) is None
    assert statistics.worst_finite(np.array([np.nan]), "more") is None
