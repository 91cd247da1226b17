"""The reference MDP, its behaviour and its expert, by numbers known of them."""

import numpy as np
import pytest

from tests.theory.dual_rl.known import BEST, D_E, D_O, D_S, MU, T, average


def test_the_mdp_is_the_one_whose_numbers_are_known():
    np.testing.assert_allclose(T.P[0, 0], np.array([1, 4, 3, 2, 1]) / 11, rtol=1e-15)
    np.testing.assert_allclose(MU[0], np.array([1, 3, 2]) / 6, rtol=1e-15)
    np.testing.assert_allclose(
        D_O.sum(1), [0.18866575, 0.17731154, 0.18931033, 0.22937997, 0.21533241], atol=1e-8
    )
    assert average(D_O) == pytest.approx(-0.0460414925, abs=1e-10)
    np.testing.assert_allclose(
        BEST.v, [7.89464348, 8.26664998, 8.10824342, 8.27001824, 8.06038195], atol=1e-8
    )
    assert BEST.policy.tolist() == [0, 2, 2, 1, 1]
    assert 0.1 * BEST.j == pytest.approx(0.8142310426, abs=1e-10)


def test_the_data_cover_two_fifths_of_the_expert():
    assert D_E[D_S > 0].sum() == pytest.approx(0.411148, abs=1e-6)
    assert average(D_E) == pytest.approx(0.8142310426, abs=1e-10)
    assert average(D_S) == pytest.approx(-0.2492775218, abs=1e-10)
