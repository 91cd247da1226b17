"""Normalised scores at the published references."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data import scores
from jaxrl.data.dataset import from_arrays


def test_scores_are_the_published_ones():
    """Values of D4RL's table at its own references and in between."""
    hopper = scores.reference("hopper-medium-v2")
    assert scores.normalised_score(hopper.random, hopper) == 0
    assert scores.normalised_score(hopper.expert, hopper) == 100
    # (3726 + 20.272305) / (3234.3 + 20.272305), the TRPO expert: 115
    assert scores.normalised_score(3726.0, hopper) == pytest.approx(115.108, abs=1e-3)
    assert scores.reference("antmaze-umaze-v0") == (0, 1)
    assert scores.reference("maze2d-umaze-v1") == (23.85, 161.86)
    assert scores.reference("maze2d-umaze-dense-v1") == (68.537689, 193.66285642)
    assert scores.reference("ant-random-v2") == (-325.6, 3879.7)
    np.testing.assert_allclose(
        scores.normalised_score(np.array([0.0, 50.0, 200.0]), scores.Reference(0.0, 100.0)), [0, 50, 200]
    )


def test_references_of_a_dataset():
    ends = {"terminated": np.ones(1, bool), "truncated": np.zeros(1, bool)}
    rows = {name: np.zeros(1) for name in ("obs", "action", "reward", "next_obs")}
    data = from_arrays(rows | ends, meta=(("ref_random", -10.0), ("ref_expert", 30.0)))
    assert scores.reference_of(data) == scores.Reference(-10.0, 30.0)
    with pytest.raises(UsageError, match=r"^data\.meta: has no ref_random"):
        scores.reference_of(data.replace(meta=()))


def test_an_unknown_name():
    with pytest.raises(UsageError, match=r"^name: no reference scores for 'hopperette"):
        scores.reference("hopperette-v2")
