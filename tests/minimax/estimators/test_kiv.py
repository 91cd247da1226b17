"""KIV against two solves written out."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import kiv
from jaxrl.minimax.estimators.kernels import (
    square_distances,
)

AT = np.linspace(-3, 3, 11)[:, None]


@pytest.fixture(scope="module")
def small():
    """48 observations of zoo A."""
    s = zoo("sin", "A").train.rows(slice(0, 48))
    return s.x, s.z, s.y


@pytest.mark.parametrize("variant", ["matlab", "product", "port"])
def test_kiv_is_two_solves(small, variant):
    x, z, y = small
    ridges = (1e-1, 1e-3, 1e-5)
    fit = kiv.kiv(x, z, y, variant=variant, ridges=ridges)

    def kernel(a, b, whole, half):
        if variant == "port":
            return np.exp(-square_distances(a, b) / np.median(square_distances(half, half)))
        if variant == "matlab" and a.shape[1] == 2:  # one norm of z, one width, the diagonal included
            v = np.median([np.linalg.norm(p - q) for p in whole for q in whole])
            return np.exp(-square_distances(a, b) / (2 * v**2))
        product = np.ones((len(a), len(b)))
        for k in range(a.shape[1]):
            v = np.median([abs(p - q) for p in whole[:, k] for q in whole[:, k]])
            product *= np.exp(-((a[:, None, k] - b[None, :, k]) ** 2) / (2 * v**2))
        return product

    x1, x2, z1, z2 = x[:24], x[24:], z[:24], z[24:]
    kxx, kx12, kx22 = kernel(x1, x1, x, x1), kernel(x1, x2, x, x1), kernel(x2, x2, x, x1)
    kzz, kz12 = kernel(z1, z1, z, z1), kernel(z1, z2, z, z1)
    factor = 24 if variant == "port" else 1
    loss1, gammas = [], []
    for lam in ridges:
        gamma = np.linalg.solve(kzz + factor * lam * np.eye(24), kz12)
        loss1.append(np.trace(kx22 - 2 * kx12.T @ gamma + gamma.T @ kxx @ gamma) / 24)
        gammas.append(gamma)
    g = gammas[int(np.argmin(loss1))]
    loss2, predictions = [], []
    for xi in ridges:
        # (W W' + m xi K) a = W y2 with W = K G, without the common factor K
        a = np.linalg.solve(g @ g.T @ kxx + 24 * xi * np.eye(24), g @ y[24:])
        loss2.append(np.mean((y[:24] - kxx @ a) ** 2))
        predictions.append(kernel(AT, x1, x, x1) @ a)
    np.testing.assert_allclose(fit.loss1 + np.trace(kx22) / 24, loss1, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fit.loss2, loss2, rtol=1e-7)
    assert (fit.lam, fit.xi) == (ridges[int(np.argmin(loss1))], ridges[int(np.argmin(loss2))])
    np.testing.assert_allclose(fit.predict(AT), predictions[int(np.argmin(loss2))], rtol=1e-7, atol=1e-9)


def test_kiv_refuses_and_splits_at_random(small):
    x, z, y = small
    with pytest.raises(UsageError, match="variant: 'python' is none of matlab, product, port"):
        kiv.kiv(x, z, y, variant="python")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="leaves a stage empty"):
        kiv.kiv(x, z, y, variant="port", split=1.0)
    for variant in ("matlab", "product", "port"):
        with pytest.raises(UsageError, match="x: the median distance is 0"):
            kiv.kiv((x > -2) * 1.0, z, y, variant=variant)
    one, two = (kiv.kiv(x, z, y, variant="port", seed=s, ridges=(1e-3,)).predict(AT) for s in (0, 1))
    assert np.abs(one - two).max() > 1e-3
