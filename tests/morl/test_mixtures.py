"""Mixtures of policies within bounds, against closed forms on the concave sea."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.morl.mixtures import best_mixture

FRONT = DeepSeaTreasure("concave").front(1.0)  # treasures and minus their steps


@pytest.mark.parametrize("T", [1, 8, 9, 14, 17, 19])
def test_best_treasure_within_a_time_mixes_the_ends_of_the_front(T):
    found = best_mixture(FRONT, 0, [-np.inf, -T])
    assert found.returns[0] == pytest.approx(1 + 123 * (T - 1) / 18)
    assert found.returns[1] >= -T - 1e-9 and found.probability.sum() == pytest.approx(1)
    assert set(found.policies) <= {0, 9}


def test_without_bounds_the_best_policy_is_served_alone():
    found = best_mixture(FRONT, 1, [-np.inf, -np.inf])
    assert found.policies.tolist() == [0]
    np.testing.assert_allclose(found.returns, FRONT[0])


def test_mixtures_draw_at_most_one_policy_more_than_there_are_bounds():
    rng = np.random.default_rng(0)
    G = rng.normal(size=(40, 4))
    bounds = np.r_[-np.inf, G[:, 1:].mean(0)]
    found = best_mixture(G, 0, bounds)
    assert len(found.policies) <= 4
    assert (found.returns[1:] >= bounds[1:] - 1e-8).all()


def test_bounds_that_no_mixture_meets_are_told_with_the_closest_one():
    """At (124, -1) the mixture of the two ends misses both bounds by half of their range."""
    with pytest.raises(UsageError, match="no mixture meets") as error:
        best_mixture(FRONT, 0, [124.0, -1.0])
    text = str(error.value)
    assert "[62.5, -10.0]" in text and "objective 0 by 61.5" in text and "objective 1 by 9" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((FRONT, 2, [0.0, 0.0]), "best: must be an objective in 0 .. 1"),
        ((FRONT, 0.5, [0.0, 0.0]), "best: must be an objective in 0 .. 1"),
        ((FRONT, 0, [0.0]), "at_least: must be 2 bounds"),
        ((FRONT, 0, [np.nan, 0.0]), "at_least: must be 2 bounds"),
        ((np.zeros((0, 2)), 0, [0.0, 0.0]), "returns: must be finite numbers"),
    ],
)
def test_queries_that_do_not_fit_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        best_mixture(*arguments)
