"""Long runs at the sizes of the paper's claims: slopes, policy evaluation, prices, the energy identity."""

import jax
import numpy as np
import pytest

from experiments.minimax import asset_pricing, discretisation, policy_evaluation, rates, representation
from jaxrl.cli import api
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import agmm_net, deep_gmm, dfiv
from jaxrl.report import tables
from jaxrl.run.sweep import member_keys
from theory.minimax.setting import integral
from theory.minimax.thm_04_energy import instance, terms

pytestmark = pytest.mark.slow


def numbers(module, tmp_path, **overrides):
    name = module.__name__.removeprefix("experiments.").replace(".", "/")
    folder = api.run(name, "quick", out=tmp_path, **overrides)
    result = folder.load_result()
    return {label: s.values for label, s in tables.module_scores(module, result).items()}, result


def test_slopes_of_representation_and_lazy_limit(tmp_path):
    found, result = numbers(representation, tmp_path)
    assert found["slope of moved"] == pytest.approx(-1, abs=0.005)
    assert found["slope of w2"] == pytest.approx(-1, abs=0.005)
    assert found["slope of sym"] == pytest.approx(-2, abs=0.1)
    assert found["slope of shifted"] == pytest.approx(-1, abs=0.1)
    late = result["alphas"] >= 8
    scaled = (result["alphas"] * result["w2"])[:, late]
    assert np.all(scaled.max(1) / scaled.min(1) < 1.01)
    assert np.all(result["w2"] <= result["moved"][: len(result["w2"])] * (1 + 1e-12))


def test_slopes_of_width_and_step(tmp_path):
    found, _ = numbers(discretisation, tmp_path)
    for name, (low, high) in discretisation.RANGE.items():
        assert low < found[f"slope, {name}"] < high


def test_gap_against_time(tmp_path):
    """The slope -1 and the constant of the sum rule."""
    found, _ = numbers(rates, tmp_path, seeds=2)
    assert np.all(np.abs(found["slope of avg G"] + 1) < 0.005)
    assert np.all(np.abs(found["T avg G / C, alpha 32"] - 1) < 2e-3)
    assert found["lazy G(10)"] == pytest.approx(0.0055477465, abs=1e-8)


def test_policy_evaluation(tmp_path):
    found, result = numbers(policy_evaluation, tmp_path, seeds=2)
    assert np.all(found["AR(1), descent-ascent, relative error"] <= 0.003)
    assert np.all(found["AR(1), TD(0), relative error"] <= 0.002)
    assert np.all(found["lazy TD(0), largest real part"] > 0.1)
    assert np.all(result["spectra"][:, 1] < 1e-9)
    for alpha in (1, 4, 16):
        name = f"off-policy, alpha {alpha}"
        assert np.all(found[f"{name}, descent-ascent residual"] <= 0.02)
        assert np.all(found[f"{name}, TD peak"] >= 5)
        assert np.all((found[f"{name}, TD end"] >= 0.5) == (alpha == 1))
    first = result["off_error"][1, :, :, :1]
    assert np.all(result["off_error"][1] <= first * (1 + 1e-6))  # descent-ascent never exceeds its start


def test_prices(tmp_path):
    found, result = numbers(asset_pricing, tmp_path)
    assert np.all(result["price_error"][:, result["t"] == 1500] <= 0.05)
    assert np.all(found["price, error over variance"] <= 0.01)
    assert np.all(found["discount factor, relative error to the penalised saddle"] <= 0.10)
    assert np.all(found["discount factor, Euler residual"] <= 0.05)


def test_energy_identity_of_a_wide_network():
    """The energy identity at N = 256 with Simpson on 100 intervals."""
    with jax.enable_x64(True):
        for alpha in (1.0, 8.0):
            found = terms(instance(1, 256)[alpha], alpha)
            right = -integral(found.gap + found.work, found.t) / alpha**2
            assert right == pytest.approx(found.V[-1] - found.V[0], rel=2e-3)


@pytest.mark.slow
def test_every_estimator_beats_regression_on_the_treatment():
    """400 rows of zoo A, |x|: least squares lines leave 0.39, a fit that ignores endogeneity 0.2 and more."""
    whole = zoo("abs", "A")
    train, dev, test = (s.rows(slice(0, 400)) for s in whole[:3])
    keys = member_keys(0, 2)
    fits = {
        "DeepGMM": deep_gmm.fit(
            deep_gmm.Config(rates=(5e-3,), batch=200, epochs=300, every=10, burn_in=100),
            keys,
            train,
            dev,
            test.x,
        ),
        "AGMM": agmm_net.fit(
            agmm_net.Config(width=32, rate=1e-3, epochs=150, burn_in=50), keys, train, test.x
        ),
        "DFIV": dfiv.fit(dfiv.Config(rate=5e-3, epochs=60), keys, train, test.x),
    }
    for name, f in fits.items():
        assert f.shape == (2, 400)
        error = np.mean((f - test.truth) ** 2, -1)
        assert np.all(error < 0.15), (name, error)
        assert np.abs(f[0] - f[1]).max() > 1e-4  # seeds differ
