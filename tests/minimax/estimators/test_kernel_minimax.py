"""Kernel minimax against the formula written out, and its cross-validation against refits."""

import numpy as np
import pytest
import scipy.linalg

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import kernel_minimax as km
from jaxrl.minimax.estimators.kernels import (
    rbf,
)

AT = np.linspace(-3, 3, 11)[:, None]


@pytest.fixture(scope="module")
def small():
    """48 observations of zoo A."""
    s = zoo("sin", "A").train.rows(slice(0, 48))
    return s.x, s.z, s.y


def literal_m(kf, n):
    delta = 5 / n**0.4
    root = scipy.linalg.sqrtm(kf).real
    return root @ np.linalg.inv(kf / (2 * n * delta**2) + np.eye(len(kf)) / 2) @ root


def literal_fit(x, kf, y, gamma, scale, n, at):
    kh, m = rbf(x, x, gamma), literal_m(kf, n)
    # a solution of (Kh M Kh + alpha Kh) a = Kh M y that can be found without dividing by Kh
    a = np.linalg.solve(m @ kh + scale * (5 / n**0.4) ** 4 * np.eye(len(y)), m @ y)
    return rbf(at, x, gamma) @ a


def test_kernel_minimax_is_the_formula(small):
    x, z, y = small
    fit = km.kernel_minimax(x, z, y, gamma=2.0, scale=60.0)
    expected = literal_fit(x, rbf(z, z, 2.0), y, 2.0, 60.0, 48, AT)
    np.testing.assert_allclose(fit.predict(AT), expected, rtol=1e-7, atol=1e-9)


def test_inner_matrix_is_the_value_of_the_adversary(small):
    """M from its definition: max_g r'g - g'K g / (4 n delta^2) - |g|_F^2 / 4 with g = K b is r' M r / 2..."""
    z, y = small[1], small[2]
    n, k = 48, rbf(z, z, 2.0)
    delta = km.critical_radius(n)
    curvature = k / 2 + k @ k / (2 * n * delta**2)
    b = np.linalg.lstsq(curvature, k @ y, rcond=1e-13)[0]
    value = y @ k @ b - b @ curvature @ b / 2
    np.testing.assert_allclose(value, y @ km.inner(k, n) @ y / 2, rtol=1e-8)


def test_cross_validation_is_the_loop(small):
    x, z, y = small
    scales = (1.0, 30.0, 1000.0)
    fit = km.kernel_minimax_cv(x, z, y, gamma=2.0, scales=scales, folds=4)
    loss = np.zeros(3)
    for fold in range(4):
        test = np.arange(12 * fold, 12 * fold + 12)
        train = np.array([i for i in range(48) if i not in test])
        m = literal_m(rbf(z[test], z[test], 2.0), 12)
        for i, scale in enumerate(scales):
            kf = rbf(z[train], z[train], 2.0)
            r = y[test] - literal_fit(x[train], kf, y[train], 2.0, scale, 36, x[test])
            loss[i] += r @ m @ r / 144 / 4
    np.testing.assert_allclose(fit.loss, loss, rtol=1e-6)
    assert fit.scale == scales[int(np.argmin(loss))]
    expected = literal_fit(x, rbf(z, z, 2.0), y, 2.0, fit.scale, 48, AT)
    np.testing.assert_allclose(fit.predict(AT), expected, rtol=1e-5, atol=1e-8)
    with pytest.raises(UsageError, match=r"folds: must be in \[2, 48\], got 1"):
        km.kernel_minimax_cv(x, z, y, folds=1)
    for folds in (0, 2.5):
        with pytest.raises(UsageError, match="folds: must be"):
            km.kernel_minimax_cv(x, z, y, folds=folds)
    with pytest.raises(UsageError, match=r"rank: must be an int, got 2\.5"):
        km.kernel_minimax_nystrom(x, z, y, rank=2.5)
    with pytest.raises(UsageError, match="n: must be > 0"):
        km.critical_radius(0)


def test_all_landmarks_are_the_whole_kernel(small):
    x, z, y = small
    whole = km.kernel_minimax_nystrom(x, z, y, gamma=0.5, scales=(60.0,), folds=4, rank=48)
    np.testing.assert_allclose(
        whole.predict(AT), km.kernel_minimax(x, z, y, gamma=0.5, scale=60.0).predict(AT), rtol=1e-4, atol=1e-6
    )
