"""Kernels against loops."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators.kernels import (
    median_distance,
    nystrom,
    rbf,
    square_distances,
)

AT = np.linspace(-3, 3, 11)[:, None]


@pytest.fixture(scope="module")
def small():
    """48 observations of zoo A."""
    s = zoo("sin", "A").train.rows(slice(0, 48))
    return s.x, s.z, s.y


def test_kernels_by_loops(small):
    x, z, _ = small
    for i, j in ((0, 1), (3, 3), (7, 20)):
        d = sum((z[i, k] - z[j, k]) ** 2 for k in range(2))
        np.testing.assert_allclose(square_distances(z, z)[i, j], d, atol=1e-13)
        np.testing.assert_allclose(rbf(z, z, 0.3)[i, j], np.exp(-0.3 * d), rtol=1e-12)
    above = [abs(float((x[i] - x[j])[0])) for i in range(48) for j in range(i)]
    np.testing.assert_allclose(median_distance("x", x), np.median(above), rtol=1e-9)
    with pytest.raises(UsageError, match="x: the median distance is 0"):
        median_distance("x", (x > -2) * 1.0)


def test_nystrom_is_exact_on_its_landmarks(small):
    z = small[1]
    features = nystrom(z, 0.5, 10, np.random.default_rng(0))
    at = features.landmarks
    np.testing.assert_allclose(features(at) @ features(at).T, rbf(at, at, 0.5), atol=1e-9)
    with pytest.raises(UsageError, match="rank: must lie between 1 and the 48"):
        nystrom(z, 0.5, 49, np.random.default_rng(0))
