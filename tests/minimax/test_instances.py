"""Instances on grids against closed forms and tables."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import instances
from jaxrl.minimax.instances import Burnside, Pricing, gaussian_grid, hermite, npiv_gaussian
from theory.minimax import truth
from theory.minimax.oracles import saddle

TABLE = [
    (0.5, 0.1, 0.1888135512, 0.0789733185, 0.0082272744),
    (0.7, 1.0, 0.0404672375, 0.2177609565, 0.0870520822),
    (0.7, 0.1, 0.2718068022, 0.0254403101, 0.0067542623),
    (0.7, 0.01, 0.4070785093, 0.0007596782, 0.0001224709),
    (0.9, 0.1, 0.3367872935, 0.0061394137, 0.0044702826),
]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_gaussian_instruments(row):
    rho, lam, *expected = row
    made = npiv_gaussian(rho, lam)
    f, g = saddle(made)
    bias = f - np.sin(made.x[:, 0])
    np.testing.assert_allclose([made.p @ f**2, made.p @ bias**2, made.q @ g**2], expected, rtol=0, atol=6e-11)
    modes = truth.tikhonov_modes(truth.sin_coefficients(40), rho, lam)
    np.testing.assert_allclose([np.sum(modes.f**2), np.sum(modes.g**2)], expected[::2], rtol=0, atol=6e-11)


def test_hermite_coefficients():
    c = truth.sin_coefficients(40)
    np.testing.assert_allclose(c[:12], truth.hermite_coefficients(np.sin, 12), atol=1e-14)
    assert np.sum(c**2) == pytest.approx((1 - np.exp(-2)) / 2, abs=1e-14)
    size = truth.abs_coefficients(400)
    np.testing.assert_allclose(size[[0, 2, 4]], [np.sqrt(2 / np.pi), 0.5641895835, -0.1628675040], atol=5e-11)
    step = truth.step_coefficients(400)
    np.testing.assert_allclose(step[[0, 1, 3]], [0.5, 0.3989422804, -0.1628675040], atol=5e-11)
    # kinks converge like k^-3/2 in the squared norm: 400 terms leave 2e-4 and 3e-2
    assert np.sum(size**2) == pytest.approx(1, abs=1e-3) and np.sum(step**2) == pytest.approx(0.5, abs=3e-2)
    grid = gaussian_grid(16)
    exact = truth.tikhonov_modes(truth.abs_coefficients(400), 0.7, 0.1)
    bias = np.sum((exact.f - truth.abs_coefficients(400)) ** 2)
    coarse = npiv_gaussian(0.7, 0.1, truth=np.abs)
    on_grid = coarse.p @ (saddle(coarse)[0] - np.abs(grid.x)) ** 2
    assert abs(on_grid / bias - 1) == pytest.approx(0.22, abs=0.02)  # why kinks need coefficients


def test_values_of_chains():
    v = truth.ar1_value(truth.sin_coefficients(40), 0.9, 0.9)
    assert np.sum(v**2) == pytest.approx(10.7231869698, abs=6e-11)
    np.testing.assert_allclose(
        hermite(np.array([1, -0.5]), 40) @ v, [3.8491588098, -2.0774362772], atol=6e-11
    )
    for lam, bias in ((0.1, 5.6117131424), (0.01, 0.4826864484)):
        made = instances.ar1(0.9, 0.9, lam=lam)
        exact = hermite(made.x[:, 0], 24) @ v[:24]
        assert made.p @ (saddle(made)[0] - exact) ** 2 == pytest.approx(bias, abs=1e-9)
    quadratic = truth.ar1_quadratic_value(np.array([0.0, 1, 2]), 0.9, 0.95)
    np.testing.assert_allclose(quadratic, [-15.6616052061, -20, -33.0151843818], atol=6e-11)


def test_finite_chains():
    ring = saddle(instances.ring())[0]
    np.testing.assert_allclose(ring[[0, 5, 10]], [10.4528644461, -3.7317849924, -9.3041587890], atol=6e-11)
    assert np.mean(ring**2) == pytest.approx(56.3486253389, abs=1e-9)
    for lam, bias in ((0.1, 46.1813358708), (0.01, 14.5156271480)):
        f = saddle(instances.ring(lam=lam))[0]
        assert np.mean((f - ring) ** 2) == pytest.approx(bias, abs=1e-9)
    assert saddle(instances.ring(lam=0.1))[0][0] == pytest.approx(1.0282073859, abs=6e-11)
    garnet = saddle(instances.garnet())[0]
    np.testing.assert_allclose(garnet[:3], [-0.95358911, -3.14996949, -2.96868661], atol=6e-9)
    assert np.mean(garnet**2) == pytest.approx(11.4216282568, abs=1e-9)
    np.testing.assert_allclose(saddle(instances.off_policy())[0], [1, 2], atol=1e-12)


def test_asset_prices():
    economy = Burnside()
    x = economy.mean + economy.sd * np.array([0, -2, 2])
    np.testing.assert_allclose(
        truth.burnside_price(x), [12.4812365818, 12.3202401548, 12.6443397320], rtol=0, atol=6e-11
    )
    made = instances.burnside()
    v = economy.level * (1 + 0.01 * saddle(made)[0])
    assert economy.level == pytest.approx(12.3035146278, abs=6e-11)
    assert made.p @ v == pytest.approx(12.4814999213, abs=6e-11)
    assert made.p @ v**2 - (made.p @ v) ** 2 == pytest.approx(0.0065650796, abs=6e-11)
    for lam, bias in ((1e-1, 0.5065), (1e-2, 0.2474), (1e-3, 0.0941), (1e-4, 0.0288)):
        made = instances.discount_factor(lam=lam)
        m = truth.discount(made.x[:, 0])
        f, g = saddle(made)
        assert np.sqrt(made.p @ (f - m) ** 2 / (made.p @ m**2)) == pytest.approx(bias, abs=6e-5)
        if lam == 1e-2:
            assert np.sqrt(made.q @ g**2) == pytest.approx(0.0351, abs=6e-5)
    assert [made.p @ m, made.p @ m**2] == pytest.approx([1.1107106104, 1.5840739850], abs=6e-11)


def test_bad_instances_are_refused():
    with pytest.raises(UsageError, match="no price exists, the spectral radius"):
        instances.burnside(Burnside(rho=0.9))
    with pytest.raises(UsageError, match="gamma: must lie"):
        instances.ar1(0.9, 1.0)
    with pytest.raises(UsageError, match=r"rho: must lie in \(-1, 1\)"):
        npiv_gaussian(1.0, 0.1)
    with pytest.raises(UsageError, match=r"burnside\.economy\.rho: must lie in"):
        instances.burnside(Burnside(rho=2.0))
    for call, name in (
        (lambda: instances.garnet(3, 5), r"garnet\.branch"),
        (lambda: instances.garnet(0, 0), r"garnet\.states"),
        (lambda: instances.ring(0), r"ring\.size"),
        (lambda: instances.gaussian_grid(0), r"gaussian_grid\.n"),
    ):
        with pytest.raises(UsageError, match=f"{name}: must be"):
            call()
    with pytest.raises(UsageError, match="rows of P"):
        instances.evaluation([[0.5, 0.6], [0, 1]], [0, 0], 0.9, [0.5, 0.5], [0.0, 1.0])
    assert Pricing().drift(0.0) == pytest.approx(0.02 - 0.09 * 0.64 / 2 - 0.005)
