"""Fits of the hyperbolic model beside scipy's, and the weights of their samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from jaxrl.morl import prediction

fit = jax.jit(prediction.fit)
WEIGHTS = jax.jit(prediction.sample_weights)


def formula_data(i):
    """Weights, changes and sample weights `[12]` number i, with and without a trend that the model has."""
    k = np.arange(12)
    x = (7 * k + 3 * i) % 11 / 10
    y = 3 * (i - 3) * np.tanh(4 * (x - 0.4)) + np.sin(5 * k + i) * (1 + i % 3)
    return x, y, 0.2 + 0.8 * ((3 * k + i) % 5) / 4


def scipys(x, y, weight):
    """Cost of scipy's fit with the settings of the paper's code."""
    high = [np.clip(np.ptp(y), 1, 500), *prediction.HIGH[1:]]

    def residuals(theta):
        A, a, b, c = theta
        return weight * (A * (np.exp(a * (x - b)) - 1) / (np.exp(a * (x - b)) + 1) + c - y)

    out = least_squares(
        residuals, np.ones(4), loss="soft_l1", f_scale=prediction.SCALE, bounds=(prediction.LOW, high)
    )
    return out.cost


def exact_curve(i):
    """Curve number i of returns that change by up to 200, at eleven weights that count alike."""
    rng = np.random.default_rng(i)
    A, a, b, c = rng.uniform((10, 1, 0.1, -50), (100, 10, 0.9, 50))
    x = np.linspace(0, 1, 11)
    return x, A * np.tanh(a * (x - b) / 2) + c, np.ones(11)


def test_curves_of_large_amplitude_are_found():
    """All costs in units of squared changes; the curves have no noise."""
    sets = [exact_curve(i) for i in range(60)]
    sets.append((np.linspace(0, 1, 11), 40 * np.tanh(3 * (np.linspace(0, 1, 11) - 0.5)) + 20, np.ones(11)))
    x, y, weight = (jnp.asarray(np.stack(v), jnp.float32) for v in zip(*sets, strict=True))
    theta = jax.jit(jax.vmap(prediction.fit))(x, y, weight)
    error = np.abs(np.asarray(jax.vmap(prediction.curve)(theta, x)) - y).max(-1)
    assert error.max() < 0.5, np.sort(error)[-5:]


@pytest.mark.parametrize("i", range(8))
def test_fit_is_no_worse_than_scipys(i):
    x, y, weight = formula_data(i)
    theta = fit(*(jnp.asarray(v, jnp.float32) for v in (x, y, weight)))
    found = float(prediction.soft_l1(weight * (np.asarray(prediction.curve(theta, x)) - y)).sum())
    assert found <= scipys(x, y, weight) * 1.01 + 1e-3
    assert np.all(np.asarray(theta) >= np.array(prediction.LOW) - 1e-6)
    assert np.all(np.asarray(theta) <= np.array(prediction.HIGH) + 1e-4)


def test_curve_is_the_quotient_of_exponentials():
    x = np.linspace(0, 1, 7)
    e = np.exp(3.0 * (x - 0.2))
    np.testing.assert_allclose(
        prediction.curve(jnp.array([2.0, 3.0, 0.2, 0.5]), x), 2 * (e - 1) / (e + 1) + 0.5, rtol=1e-5
    )


def test_samples_without_weight_do_not_count():
    x, y, weight = (jnp.asarray(v, jnp.float32) for v in formula_data(2))
    padded = (jnp.append(x, 0.3), jnp.append(y, 400.0), jnp.append(weight, 0.0))
    a, b = prediction.curve(fit(x, y, weight), x), prediction.curve(fit(*padded), x)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_near_records_are_those_within_a_share_that_doubles_until_four_weights_are_there():
    before = jnp.array([[10.0, 10.0], [10.5, 10.0], [10.0, 11.5], [11.5, 10.0], [14.0, 10.0], [10.0, 10.0]])
    w = jnp.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.5, 0.5], [0.9, 0.1]])
    valid = jnp.array([True] * 5 + [False])
    # 10 % holds two records, 20 % holds four, 40 % would hold five
    found = np.asarray(WEIGHTS(before, w, valid, jnp.array([10.0, 10.0])))
    assert (found > 0).tolist() == [True, True, True, True, False, False]
    d2 = np.array([0, 0.05**2, 0.15**2, 0.15**2]) / 2
    np.testing.assert_allclose(found[:4], np.exp(-d2 / (2 * 0.03**2)), rtol=1e-4)


def test_all_records_are_near_where_too_few_weights_are_known():
    before = jnp.array([[10.0, 10.0], [90.0, 10.0]])
    found = WEIGHTS(
        before, jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.array([True, True]), jnp.array([10.0, 10.0])
    )
    assert float(found[0]) == 1.0
