"""Distillation: drifts of the span come back, others nearly, and bad input is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.meta import drift, zoo
from jaxrl.meta.certificates import certified_radius, check_drift, grid
from jaxrl.meta.distillation import PROGRESS, distil, regression
from jaxrl.meta.objective import MASKS, Objective

SMALL = {"ratios": np.exp(np.linspace(-1.2, 1.2, 21)), "advantages": np.linspace(-2.5, 2.5, 10)}


def known():
    """A drift of the span with scales of the list, positive on both sides for either sign of A."""
    rule = drift.ta_dpo()
    phi = rule.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    c = 0.3 * rng.normal(size=phi["coefficients"].shape)
    c[:, 1] += 4.0  # d^2
    scales = jnp.array([2.0, 0.6], jnp.float32)
    return rule, phi | {"coefficients": jnp.asarray(c, jnp.float32), "scales": scales}


def values(objective, phi):
    return grid(objective, phi, progress=PROGRESS, **SMALL).f


def test_regression_recovers_coefficients_in_float64():
    rng = np.random.default_rng(1)
    X, c = rng.normal(size=(400, 6)), rng.normal(size=6)
    y = np.maximum(X @ c - 0.1, 0)
    found, loss = regression(X, y, rng.uniform(0.1, 1, 400), 0.1)
    np.testing.assert_allclose(found, c, rtol=1e-12)
    assert loss < 1e-24 and 0 < (y > 0).sum() < 400


def test_regression_of_noisy_values_ends_where_the_gradient_is_zero():
    """The first solution sees positive values alone; the end is a minimum of the loss over all points."""
    rng = np.random.default_rng(2)
    X, c = rng.normal(size=(300, 3)), np.array([1.0, -1.0, 0.5])
    y = np.maximum(X @ c - 0.1 + 0.5 * rng.normal(size=300), 0)
    root = rng.uniform(0.5, 1, 300)
    found, loss = regression(X, y, root, 0.1)
    residual = np.where(X @ found > 0.1, X @ found - 0.1 - y, 0)
    np.testing.assert_allclose(X.T @ (root**2 * residual), 0, atol=1e-6)
    inside = np.maximum(X @ found - 0.1, 0) - y
    assert loss == pytest.approx(np.square(root * inside).sum())
    first = np.linalg.lstsq(X[y > 0] * root[y > 0, None], (y[y > 0] + 0.1) * root[y > 0], rcond=None)[0]
    assert loss < np.square(root * (np.maximum(X @ first - 0.1, 0) - y)).sum()


def test_a_drift_of_the_span_is_recovered_to_float_precision():
    rule, phi = known()
    found = distil(rule, phi, **SMALL)
    assert found.phi["coefficients"].shape == phi["coefficients"].shape
    np.testing.assert_array_equal(found.phi["scales"], phi["scales"])
    expected = values(rule, phi)
    assert expected.max() > 5
    np.testing.assert_allclose(values(found.objective, found.phi), expected, atol=1e-5 * expected.max())
    assert found.unexplained < 1e-10


def test_the_closed_form_contains_ppo_and_dpo_up_to_the_offset():
    for name in ("ppo", "dpo"):
        entry = zoo.load(name)
        found = distil(entry.objective, entry.phi, **SMALL)
        assert found.objective.inputs == ()
        error = np.abs(values(found.objective, found.phi) - values(entry.objective, entry.phi))
        assert error.max() < 2 * drift.XI and found.unexplained < 1e-7


@pytest.mark.slow
def test_a_learned_drift_is_explained_within_what_is_said_and_meets_the_conditions():
    entry = zoo.load("lpo_cartpole")
    found = distil(entry.objective, entry.phi)
    assert 0 < found.unexplained < 0.01
    certificate = check_drift(found.objective, found.phi)
    assert certificate.least == 0 and certificate.slope_at_one == 0 and certificate.certified > 0


def test_certified_radii_of_closed_forms_hold():
    rule, phi = known()
    radius = certified_radius(phi, 3.0, MASKS["paper"])
    assert 0 < radius < 1e-3
    inside = 1 + radius * np.linspace(-0.999, 0.999, 21)
    assert grid(rule, phi, **SMALL | {"ratios": inside}, progress=PROGRESS).f.max() == 0
    assert certified_radius(phi, 3.0, MASKS["none"]) > radius


def test_a_mask_of_zeros_leaves_what_holds_at_the_start():
    rule, phi = known()
    found = distil(rule, phi, degree=0, mask=MASKS["none"], **SMALL)
    at_start = values(rule, phi)[:1]
    np.testing.assert_allclose(found.phi["coefficients"][..., 0], phi["coefficients"][..., 0], atol=1e-3)
    error = np.abs(values(found.objective, found.phi) - at_start)
    assert error.max() < 1e-5 * at_start.max()


def test_a_drift_that_is_zero_has_coefficients_of_zero():
    found = distil(drift.lpo(hidden=2), drift.lpo(hidden=2).init(jax.random.key(0)), **SMALL)
    assert found.unexplained == 0 and not np.asarray(found.phi["coefficients"]).any()


def test_a_closed_form_comes_back_from_the_zoo(tmp_path):
    rule, phi = known()
    arrays = {name: np.asarray(phi[name]) for name in ("coefficients", "scales")}
    zoo.save("own", "ta_dpo", {"degree": 2}, arrays, {}, tmp_path)
    entry = zoo.load("own", folder=tmp_path)
    assert entry.objective.name == "TA-DPO" and entry.objective.features[11] == "n/N d"
    np.testing.assert_array_equal(values(entry.objective, entry.phi), values(rule, phi))


def test_what_cannot_be_distilled_is_refused_in_one_sentence():
    rule, phi = known()
    with pytest.raises(UsageError, match=r"distil: the \d+ points .* tell \d+ of 33 terms apart; take"):
        distil(rule, phi, progress=(0.0, 0.5), **SMALL)
    scheduled = drift.scheduled_ppo()
    with pytest.raises(UsageError, match="scheduled PPO has a schedule, which a drift cannot hold"):
        distil(scheduled, scheduled.init(jax.random.key(0)))
    other = Objective(lambda key: (), lambda phi: phi, "targets", name="LPG")
    with pytest.raises(UsageError, match='LPG is of the slot "targets"'):
        distil(other, ())
    with pytest.raises(UsageError, match="closed form, which no member of the family has"):
        drift.padded(phi, 4, 2)
    with pytest.raises(UsageError, match="spread: must be > 0"):
        distil(rule, phi, spread=0.0)
    with pytest.raises(UsageError, match="degree"):
        distil(rule, phi, degree=-1, **SMALL)
