"""Standardisation and scores refuse what has no meaning."""

import numpy as np
import pytest

from jaxrl.minimax.designs.record import Scale, mse


def test_scale_and_score_refuse_what_has_no_meaning():
    with pytest.raises(ValueError, match="a column is constant"):
        Scale.of(np.ones((3, 2)))
    with pytest.raises(ValueError, match="is not that of the truth"):
        mse(np.zeros((3, 1)), np.zeros(3))
    scale = Scale.of(np.array([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(scale.back(scale.to(np.array([[5.0, 5.0]]))), [[5.0, 5.0]])
