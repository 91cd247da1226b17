"""Fitted slopes and their intervals, on power laws with known noise."""

import numpy as np
import pytest

from experiments.shared import fits

SIZES = np.array([8.0, 16.0, 32.0, 64.0, 128.0])


def test_slope_of_a_power_law_is_its_exponent():
    y = 3.0 * SIZES[None] ** -0.5 * np.array([[1.0], [2.0]])
    found = fits.slope(SIZES, y)
    assert (found.value, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert str(found) == "-0.500 [-0.500, -0.500]"
    assert found.note == "regression over 5 sizes, 2 draws"


@pytest.mark.parametrize("fit", [fits.slope, fits.slope_of_draws])
def test_intervals_of_slopes_cover(fit):
    """1500 fits with log-normal errors, of three draws: 95 % cover, with a standard error of .6 %."""
    rng = np.random.default_rng(0)
    noise = np.exp(0.1 * rng.normal(size=(1500, 3, 5)))
    slopes = [fit(SIZES, y) for y in SIZES**-1.0 * noise]
    assert np.mean([s.low <= -1 <= s.high for s in slopes]) == pytest.approx(0.95, abs=0.02)


def test_what_has_no_interval():
    assert str(fits.slope(SIZES[:2], SIZES[None, :2])) == "1.000"
    assert fits.slope_of_draws(SIZES, SIZES[None]).low is None


def test_scores_carry_the_interval():
    score = fits.slope(SIZES, SIZES[None] ** 2 * np.exp([[0.1, 0.0, -0.1, 0.0, 0.1]])).score()
    assert score.interval[0] < score.values[0] < score.interval[1]
    assert score.better is None
