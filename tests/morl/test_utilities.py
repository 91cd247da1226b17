"""The problem of two goods, and its optima by both criteria, without learning."""

import numpy as np
import pytest

from experiments.morl import utilities
from experiments.morl.utilities import CHANCES, best_of_expected, smaller, two_goods
from theory.exact.pareto import convex_coverage_set
from theory.exact.return_utility import best_expected_utility, outcomes, unfold


def test_policies_for_preferences_gather_one_good_alone():
    front = convex_coverage_set(two_goods(4))
    np.testing.assert_allclose(front, [[0, 4 * CHANCES[1]], [4 * CHANCES[0], 0]], atol=1e-6)
    assert smaller(front).max() < 1e-6


def test_the_best_expected_return_is_in_proportion():
    """Shares x and 1 - x of 10 steps: 10 * 0.25 x = 10 * 0.65 (1 - x) / 2."""
    x = 0.325 / (0.25 + 0.325)
    assert best_of_expected(np.array([[0.0, 6.5], [2.5, 0.0]])) == pytest.approx(2.5 * x)
    assert best_of_expected(np.array([[3.0, 7.0], [0.0, 1.0]])) == pytest.approx(3.0)


def test_the_best_expected_utility_agrees_with_a_loop_over_what_is_gathered():
    steps = 5

    def value(left: int, first: int, second: int) -> float:
        if left == 0:
            return min(first, second / 2)
        return max(
            p * value(left - 1, first + 1 - a, second + a) + (1 - p) * value(left - 1, first, second)
            for a, p in enumerate(CHANCES)
        )

    best, _ = best_expected_utility(unfold(two_goods(steps)), smaller)
    assert best == pytest.approx(value(steps, 0, 0), rel=1e-5)


def test_either_criterion_of_a_policy_comes_from_its_episodes():
    whole = unfold(two_goods(3))
    half = lambda step, layer: np.full((len(layer.state), 2), 0.5)  # noqa: E731
    (ser, esr), G = utilities._measures(whole, half)
    np.testing.assert_allclose(G, [1.5 * CHANCES[0], 1.5 * CHANCES[1]], rtol=1e-6)
    assert ser == pytest.approx(min(G[0], G[1] / 2)) and esr < ser
    returns, p = outcomes(whole, half)
    assert esr == pytest.approx(sum(q * min(g[0], g[1] / 2) for q, g in zip(p, returns, strict=True)))


def test_scores_are_shares_of_the_optimum_of_the_criterion():
    found = utilities.scores(
        {
            "optimum": np.array([2.0, 1.0]),
            "reached": np.array([[[2.0, 1.8], [0.5, 0.5]], [[1.0, 1.0], [0.9, 1.0]]]),
        }
    )
    np.testing.assert_allclose(found["SER of the SER learner, % of the optimum"], [100, 90])
    np.testing.assert_allclose(found["ESR of the SER learner, % of the optimum"], [50, 50])
    np.testing.assert_allclose(found["own learner minus the other, %, ESR"].values, [40, 50])
