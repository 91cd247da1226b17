"""MMR-IV against the formula written out and against refits."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import mmr
from jaxrl.minimax.estimators.kernels import (
    median_distance,
    rbf,
)

AT = np.linspace(-3, 3, 11)[:, None]


@pytest.fixture(scope="module")
def small():
    """48 observations of zoo A."""
    s = zoo("sin", "A").train.rows(slice(0, 48))
    return s.x, s.z, s.y


def test_mmr_is_the_formula(small):
    x, z, y = small
    n, lam = 48, 1e-3
    b, gram = mmr.instrument_factor(z, None, 0), rbf(x, x, 0.5)
    width = median_distance("z", z)
    kz = sum(rbf(z, z, 1 / (2 * v**2)) for v in (width / 10, width, 10 * width)) / 3
    np.testing.assert_allclose(n**2 * b @ b.T, kz, atol=1e-12)
    expected = np.linalg.solve(kz @ gram / n**2 + lam * np.eye(n), kz @ y / n**2)
    np.testing.assert_allclose(mmr.coefficients(gram, b, y, lam), expected, rtol=1e-9)
    # and a stationary point of the objective in f = L a
    f = gram @ expected
    np.testing.assert_allclose(gram @ (kz @ (f - y) / n**2 + lam * expected), 0, atol=1e-12)


@pytest.mark.parametrize(("rank", "size"), [(None, 2), (20, 3)])
def test_leave_out_errors_are_those_of_refits(small, rank, size):
    x, z, y = small
    b, gram = mmr.instrument_factor(z, rank, 1), rbf(x, x, 0.5)
    blocks = np.random.default_rng(0).permutation(48)[: 48 // size * size].reshape(-1, size)
    ridges = (1e-1, 1e-4)
    ours = mmr.leave_out_losses(gram, b, y, ridges, blocks)
    for ridge, value in zip(ridges, ours, strict=True):
        loss = []
        for block in blocks:
            rest = np.setdiff1d(np.arange(48), block)
            a = mmr.coefficients(gram[np.ix_(rest, rest)], b[rest], y[rest], ridge)
            e = y[block] - gram[np.ix_(block, rest)] @ a
            loss.append(e @ b[block] @ b[block].T @ e)
        np.testing.assert_allclose(value, np.mean(loss), rtol=1e-7)


def test_mmr_chooses_the_least_error_and_refuses(small):
    x, z, y = small
    fit = mmr.mmr_iv(x, z, y, lengths=(0.5, 2.0), ridges=(1e-2, 1e-4, 1e-6))
    i, j = np.unravel_index(np.argmin(fit.loss), (2, 3))
    assert (fit.length, fit.ridge) == ((0.5, 2.0)[i], (1e-2, 1e-4, 1e-6)[j])
    gamma = 1 / (2 * (fit.length * median_distance("x", x)) ** 2)
    a = mmr.coefficients(rbf(x, x, gamma), mmr.instrument_factor(z, None, 0), y, fit.ridge)
    np.testing.assert_allclose(fit.predict(AT), rbf(AT, x, gamma) @ a, rtol=1e-12)
    with pytest.raises(UsageError, match="leave_out: must lie between 1 and n - 1 = 47"):
        mmr.mmr_iv(x, z, y, leave_out=48)
    with pytest.raises(UsageError, match="rank: must lie between 1 and the 48"):
        mmr.mmr_iv(x, z, y, rank=49)
