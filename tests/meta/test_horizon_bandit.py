"""The published table of the bandit study says that time pays, and its exact rows are exact."""

import numpy as np
import pytest

from experiments.meta import horizon_bandit

RESULT = np.load(horizon_bandit.__file__.replace("horizon_bandit.py", "results/horizon_bandit-quick.npz"))


def test_exact_rows_are_the_known_values():
    found = horizon_bandit.small_bandits()
    assert found["commit"][0] >= found["explore"][0] and found["explore"][1] > found["commit"][1]
    assert found["explore"][1] == pytest.approx(73 / 30, abs=1e-12)
    np.testing.assert_allclose(found["index_gap"], [0.0109924, 0.0034910], atol=5e-7)
    for name, values in found.items():
        np.testing.assert_allclose(RESULT[name], values, atol=1e-12)


def test_knowing_the_horizon_pays_on_every_meta_seed():
    scores = horizon_bandit.scores(dict(RESULT))
    gain = scores["gain of time inputs, paired by meta-seed"].values
    assert gain.size == 5 and gain.min() >= 0.045


def test_a_blind_rule_is_not_changed_by_what_it_is_told():
    returns = RESULT["returns"]
    assert np.array_equal(returns[0, :, 1], returns[0, :, 0]) and np.array_equal(
        returns[0, :, 2], returns[0, :, 0]
    )
    assert np.all(returns[1, :, 1].mean(axis=-1) < returns[1, :, 0].mean(axis=-1) - 0.05)
