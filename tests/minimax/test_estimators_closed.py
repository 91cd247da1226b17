"""Closed-form estimators against the formulas written out, against refits, and against published errors."""

import numpy as np
import pytest
import scipy.linalg

from jaxrl.minimax.designs.npiv_zoo import FUNCTIONS, zoo
from jaxrl.minimax.designs.record import mse
from jaxrl.minimax.estimators import kernel_minimax as km
from jaxrl.minimax.estimators import kiv, mmr, two_stage
from jaxrl.minimax.estimators.kernels import (
    median_distance,
    median_square_distance,
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


# ------------------------------------------------------------------------------------------------ two stages

A3 = {"abs": 0.225180, "linear": 0.000039, "sin": 0.086275, "step": 0.032069}
OLS = {"abs": 0.394, "linear": 0.080, "sin": 0.288, "step": 0.203}
POLY = {"abs": 0.04, "linear": 0.00, "sin": 0.04, "step": 0.03}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a3_least_squares_on_zoo_a(name):
    data = zoo(name, "A")
    x, z, y, _ = data.train
    assert round(mse(two_stage.tsls(x, z, y)(data.test.x), data.test.truth), 6) == A3[name]
    assert round(mse(two_stage.ols(x, y)(data.test.x), data.test.truth), 3) == OLS[name]


def test_plugin_polynomials_are_what_deepgmm_published():
    for name in FUNCTIONS:
        data = zoo(name, "A")
        x, z, y, _ = data.train
        error = mse(two_stage.poly2sls_plugin(x, z, y)(data.test.x), data.test.truth)
        assert round(error, 2) == POLY[name], name


def test_tsls_with_one_instrument_is_a_ratio_of_covariances(small):
    x, z, y = small[0][:, 0], small[1][:, 0], small[2]
    slope = np.cov(z, y)[0, 1] / np.cov(z, x)[0, 1]
    line = two_stage.tsls(x[:, None], z[:, None], y)(AT)
    np.testing.assert_allclose(line, y.mean() + slope * (AT[:, 0] - x.mean()), rtol=1e-10)


def test_plugin_is_biased_where_projection_is_not():
    draw = np.random.default_rng(0)
    z, e = draw.normal(size=(500, 1)), draw.normal(size=(500, 1))
    x = z + e
    y = x[:, 0] ** 2
    np.testing.assert_allclose(two_stage.poly2sls(x, z, y, degree=2)(AT), AT[:, 0] ** 2, atol=1e-9)
    wrong = two_stage.poly2sls_plugin(x, z, y, degrees=(2,), ridges=(1e-8,))(AT)
    # the square of E[x | z] lacks Var(e) = 1
    assert 0.7 < (wrong - AT[:, 0] ** 2)[5] < 1.3


def test_polynomials_refuse_and_count():
    assert two_stage.polynomial(np.ones((2, 3)), 3).shape == (2, 20)
    np.testing.assert_array_equal(two_stage.polynomial(np.array([[2.0, 3.0]]), 2)[0], [1, 2, 3, 4, 6, 9])
    with pytest.raises(ValueError, match="degree: must be >= 1"):
        two_stage.polynomial(np.ones((2, 1)), 0)
    with pytest.raises(ValueError, match="instrument_degree: 2 monomials of z cannot identify 4 of x"):
        two_stage.poly2sls(AT, AT, AT[:, 0], degree=3, instrument_degree=1)


# --------------------------------------------------------------------------------------------------- kernels


def test_kernels_by_loops(small):
    x, z, _ = small
    for i, j in ((0, 1), (3, 3), (7, 20)):
        d = sum((z[i, k] - z[j, k]) ** 2 for k in range(2))
        np.testing.assert_allclose(square_distances(z, z)[i, j], d, atol=1e-13)
        np.testing.assert_allclose(rbf(z, z, 0.3)[i, j], np.exp(-0.3 * d), rtol=1e-12)
    every = [float((x[i] - x[j])[0] ** 2) for i in range(48) for j in range(48)]
    above = [abs(float((x[i] - x[j])[0])) for i in range(48) for j in range(i)]
    np.testing.assert_allclose(median_distance(x), np.median(above), rtol=1e-9)
    np.testing.assert_allclose(median_square_distance(x), np.median(every), rtol=1e-9)


def test_nystrom_is_exact_on_its_landmarks(small):
    z = small[1]
    features = nystrom(z, 0.5, 10, np.random.default_rng(0))
    at = features.landmarks
    np.testing.assert_allclose(features(at) @ features(at).T, rbf(at, at, 0.5), atol=1e-9)
    with pytest.raises(ValueError, match="rank: must lie between 1 and the 48"):
        nystrom(z, 0.5, 49, np.random.default_rng(0))


# -------------------------------------------------------------------------------------------- kernel minimax


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
    with pytest.raises(ValueError, match="folds: must lie between 2 and the 48"):
        km.kernel_minimax_cv(x, z, y, folds=1)


def test_all_landmarks_are_the_whole_kernel(small):
    x, z, y = small
    whole = km.kernel_minimax_nystrom(x, z, y, gamma=0.5, scales=(60.0,), folds=4, rank=48)
    np.testing.assert_allclose(
        whole.predict(AT), km.kernel_minimax(x, z, y, gamma=0.5, scale=60.0).predict(AT), rtol=1e-4, atol=1e-6
    )


# ------------------------------------------------------------------------------------------------------- MMR


def test_mmr_is_the_formula(small):
    x, z, y = small
    n, lam = 48, 1e-3
    b, gram = mmr.instrument_factor(z, None, 0), rbf(x, x, 0.5)
    width = median_distance(z)
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
    gamma = 1 / (2 * (fit.length * median_distance(x)) ** 2)
    a = mmr.coefficients(rbf(x, x, gamma), mmr.instrument_factor(z, None, 0), y, fit.ridge)
    np.testing.assert_allclose(fit.predict(AT), rbf(AT, x, gamma) @ a, rtol=1e-12)
    with pytest.raises(ValueError, match="leave_out: must lie between 1 and n - 1 = 47"):
        mmr.mmr_iv(x, z, y, leave_out=48)
    with pytest.raises(ValueError, match="rank: must lie between 1 and the 48"):
        mmr.mmr_iv(x, z, y, rank=49)


# ------------------------------------------------------------------------------------------------------- KIV


@pytest.mark.parametrize("variant", ["matlab", "port"])
def test_kiv_is_two_solves(small, variant):
    x, z, y = small
    ridges = (1e-1, 1e-3, 1e-5)
    fit = kiv.kiv(x, z, y, variant=variant, ridges=ridges)

    def kernel(a, b, whole, half):
        if variant == "port":
            return np.exp(-square_distances(a, b) / np.median(square_distances(half, half)))
        product = np.ones((len(a), len(b)))
        for k in range(a.shape[1]):
            distance = np.abs(whole[:, None, k] - whole[None, :, k])
            v = np.median(distance[np.triu_indices(48, 1)])
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
    with pytest.raises(ValueError, match="variant: 'python' is neither"):
        kiv.kiv(x, z, y, variant="python")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leaves a stage empty"):
        kiv.kiv(x, z, y, variant="port", split=1.0)
    with pytest.raises(ValueError, match="median distance of a column is zero"):
        kiv.kiv(np.ones((48, 1)), z, y, variant="matlab")
    one, two = (kiv.kiv(x, z, y, variant="port", seed=s, ridges=(1e-3,)).predict(AT) for s in (0, 1))
    assert np.abs(one - two).max() > 1e-3
