"""What the search for bad bandits finds, against the constructed family."""

import jax
import numpy as np
import pytest

from theory.submodular.bandit import coverage_bandit
from theory.submodular.worst_bandits import shares, tables, worst


def test_tables_and_shares_of_two_known_bandits():
    """Two equal items in both steps hold the uniform policy at 3/4; disjoint ones lead to the best."""
    twins = np.tile(np.eye(2, dtype=bool), (2, 1, 1))
    alone = np.zeros((2, 2, 2), bool)
    alone[0, 0, 0] = alone[1, 1, 1] = True
    with jax.enable_x64(True):
        covers, weight = np.stack([twins, alone, 0 * alone]), np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 1.0]])
        for table, sets, w in zip(tables(covers, weight), covers, weight, strict=True):
            np.testing.assert_array_equal(table, coverage_bandit(sets, w, 2, 0.0).table)
        np.testing.assert_allclose(shares(covers, weight), (0.75, 1.0, 1.0), atol=1e-4)


@pytest.mark.slow
def test_a_search_over_three_places_finds_the_limit_of_the_constructed_family_and_nothing_below():
    """V / (2 V - 2) = 3/4 is the infimum of the family with two equal places and one other per step."""
    with jax.enable_x64(True):
        found, bandit = worst(0, 3, 4, 500, 40)
        assert 0.7495 < found < 0.7505
        assert found == pytest.approx(float(shares_of(bandit)), abs=1e-9)


def shares_of(bandit):
    """The share from an independent loop of ascent on the table itself, written out for two steps."""
    table = np.asarray(bandit.table)[:-1, :-1]
    table = table / table.max()
    x, y = np.zeros(len(table)), np.zeros(len(table))
    for _ in range(2000):
        p, q = (np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (x, y))
        value, left, right = p @ table @ q, table @ q, p @ table
        x, y = x + 10 * p * (left - value), y + 10 * q * (right - value)
    p, q = (np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (x, y))
    return p @ table @ q
