"""Exact Wasserstein distances, and entropic ones beside them."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from theory.minimax.oracles import entropic_w2, w2


def test_exact_distances_and_entropic_ones():
    """At small displacements the identity is the optimal coupling; Sinkhorn is off by far."""
    rng = np.random.default_rng(0)
    theta, delta = rng.normal(size=(2, 512, 3))
    ahead = theta + 1e-3 * delta
    rms = np.sqrt(np.mean(np.sum((1e-3 * delta) ** 2, axis=1)))
    assert w2(ahead, theta) == pytest.approx(rms, rel=1e-9)
    assert entropic_w2(ahead, theta) > 5 * rms
    swapped = np.array([[0.0], [1.0]]), np.array([[1.0], [0.1]])
    assert w2(*swapped) == pytest.approx(np.sqrt(0.01 / 2), rel=1e-12)
    with pytest.raises(UsageError, match="w2: equal clouds"):
        w2(theta, theta[:3])
