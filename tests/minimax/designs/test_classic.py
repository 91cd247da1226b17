"""Small designs have the distributions they are said to have."""

import math

import numpy as np
import pytest

from jaxrl.minimax.designs import classic


def test_gaussian_design_has_the_conditional_mean_of_the_mehler_operator():
    rho, n = 0.7, 200_000
    data = classic.gaussian(np.sin, n=n, rho=rho, seed=0)
    z = data.z[:, 0]
    # E[sin(x) | z] = e^{-(1 - rho^2) / 2} sin(rho z); the noise is uncorrelated with functions of z
    residual = data.y - math.exp(-(1 - rho**2) / 2) * np.sin(rho * z)
    for g in (np.ones(n), z, np.cos(2 * z)):
        assert abs(np.mean(residual * g)) < 4 * np.std(residual * g) / math.sqrt(n)
    assert np.corrcoef(data.y - data.truth, data.x[:, 0])[0, 1] > 0.5
    with pytest.raises(ValueError, match="rho"):
        classic.gaussian(np.sin, n=2, rho=-1.1, seed=0)


def test_newey_powell_function_and_distribution():
    x = (np.arange(1_000_000) + 0.5) / 1_000_000
    f = classic.newey_powell_function(x)
    np.testing.assert_allclose([f.mean(), f.var()], [0, 2.48751502], atol=2e-8)
    np.testing.assert_allclose(classic.newey_powell_function(np.array([0.9])), 2.0014800002, atol=1e-10)
    n = 100_000
    data = classic.newey_powell(n, seed=0)
    u = data.y - data.truth
    for a in (data.x, data.z):  # both are uniform
        np.testing.assert_allclose(
            np.quantile(a, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=4 * 0.5 / math.sqrt(n)
        )
    assert abs(np.corrcoef(u, data.z[:, 0])[0, 1]) < 4 / math.sqrt(n)
    # corr(u, (w + t) / sqrt 2) = 1 / (2 sqrt 2), seen through the monotone Phi
    assert 0.3 < np.corrcoef(u, data.x[:, 0])[0, 1] < 0.36


def test_dfiv_sine_draws_in_the_published_order():
    data = classic.dfiv_sin(5, seed=100)
    draw = np.random.default_rng(100)
    z = draw.uniform([-3, -3], [3, 3], (5, 2))
    e = draw.normal(size=(5,))
    x = z[:, 0] + e + draw.normal(scale=0.1, size=(5,))
    y = (np.sin(x) + e + draw.normal(scale=0.1, size=(5,))) / np.sqrt(1.5)
    for ours, theirs in zip(data, (x[:, None], z, y, np.sin(x) / np.sqrt(1.5)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)


@pytest.mark.parametrize("design", [classic.simple_iv, classic.heteroskedastic_iv])
def test_parametric_designs_meet_their_moments_at_the_truth_only(design):
    n = 50_000
    data, parameters = design(n, seed=0)
    noise = data.y - data.truth
    for g in (np.ones(n), data.z[:, 0], np.sin(data.z[:, 0])):
        assert abs(np.mean(noise * g)) < 4 * np.std(noise * g) / math.sqrt(n)
    assert abs(np.corrcoef(noise, data.x[:, 0])[0, 1]) > 0.2  # endogenous
    t = data.x[:, 0]
    if design is classic.simple_iv:
        np.testing.assert_allclose(data.truth, np.polyval(parameters[::-1], t), rtol=1e-12, atol=1e-12)
    else:
        t0, y0, left, right = parameters
        far = np.abs(t - t0) > 10
        kink = y0 + np.where(t < t0, left, right) * (t - t0)
        np.testing.assert_allclose(data.truth[far], kink[far], atol=1e-7)
