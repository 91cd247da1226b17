"""Bernoulli bandits beside exact values that were computed by hand or by another programme."""

from fractions import Fraction

import numpy as np
import pytest

from theory.exact.bandits import index_rule, one_armed, two_armed

HORIZONS = (2, 5, 10, 20, 50)


def test_committing_is_optimal_up_to_three_pulls_and_exploring_from_four_on():
    for pulls in (1, 2, 3):
        commit, explore = one_armed(0.6, pulls)
        assert commit >= explore
    commit, explore = one_armed(0.6, 4)
    assert abs(explore - 73 / 30) < 1e-12 and abs(commit - 2.4) < 1e-12
    best = {n: max(one_armed(0.6, n)) for n in (5, 6, 10, 20)}
    np.testing.assert_allclose(list(best.values()), [3.0866667, 3.7409524, 6.3690909, 12.9901065], atol=5e-8)


def test_two_arms_have_the_bayes_optimum_of_an_enumeration():
    def value(arms, left):
        if not left:
            return Fraction(0)
        gains = []
        for i, (wins, losses) in enumerate(arms):
            p = Fraction(wins + 1, wins + losses + 2)
            after = [(*arms[:i], a, *arms[i + 1 :]) for a in ((wins + 1, losses), (wins, losses + 1))]
            gains.append(p * (1 + value(after[0], left - 1)) + (1 - p) * value(after[1], left - 1))
        return max(gains)

    for pulls in (2, 5):
        assert abs(two_armed(pulls) - float(value(((0, 0), (0, 0)), pulls))) < 1e-12
    stated = [1.0833333, 2.8888889, 6.0217857, 12.4312649, 31.9967119]
    np.testing.assert_allclose([two_armed(n) for n in HORIZONS], stated, atol=5e-8)


@pytest.mark.parametrize(
    ("width", "gap"),
    [
        (lambda N: lambda n: 1.25, 0.0109924),
        (lambda N: lambda n: 1.8 * np.sqrt(1 - (n + 1) / N), 0.0034910),
    ],
    ids=["blind", "horizon"],
)
def test_index_rules_lose_what_the_reference_lost(width, gap):
    gaps = [two_armed(N) - index_rule(N, width(N)) for N in HORIZONS]
    assert abs(np.mean(gaps) - gap) < 5e-7


def test_greedy_pulls_lose_a_third_of_a_reward_in_fifty():
    assert abs(two_armed(50) - index_rule(50, lambda n: 0.0) - 0.336) < 1e-3
