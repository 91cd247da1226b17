"""The published table of the bandit study says that time pays, and its exact rows are exact."""

import numpy as np
import pytest

from experiments.meta import horizon_bandit


def test_exact_rows_are_the_known_values():
    found = horizon_bandit.small_bandits()
    assert np.all(found["commit"][:1] >= found["explore"][:1]) and found["explore"][1] > found["commit"][1]
    assert found["explore"][1] == pytest.approx(73 / 30, abs=1e-12)
    np.testing.assert_allclose(found["index_gap"], [0.0109924, 0.0034910], atol=5e-7)
