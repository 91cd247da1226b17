"""Two-stage least squares against published errors and covariances."""

import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.minimax.designs.npiv_zoo import FUNCTIONS, zoo
from jaxrl.minimax.designs.record import mse
from jaxrl.minimax.estimators import two_stage

AT = np.linspace(-3, 3, 11)[:, None]


@pytest.fixture(scope="module")
def small():
    """48 observations of zoo A."""
    s = zoo("sin", "A").train.rows(slice(0, 48))
    return s.x, s.z, s.y


TSLS = {"abs": 0.225180, "linear": 0.000039, "sin": 0.086275, "step": 0.032069}


OLS = {"abs": 0.394, "linear": 0.080, "sin": 0.288, "step": 0.203}


POLY = {"abs": 0.04, "linear": 0.00, "sin": 0.04, "step": 0.03}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_least_squares_on_zoo_a_have_the_published_errors(name):
    data = zoo(name, "A")
    x, z, y, _ = data.train
    assert round(mse(two_stage.tsls(x, z, y)(data.test.x), data.test.truth), 6) == TSLS[name]
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
    with pytest.raises(UsageError, match="degree: must be >= 1"):
        two_stage.polynomial(np.ones((2, 1)), 0)
    with pytest.raises(UsageError, match="instrument_degree: 2 monomials of z cannot identify 4 of x"):
        two_stage.poly2sls(AT, AT, AT[:, 0], degree=3, instrument_degree=1)


def test_coefficients_that_are_not_identified_are_refused(small):
    x, z, y = small
    treated = (x > 0) * 1.0
    with pytest.raises(UsageError, match="x: 4 coefficients are not identified by terms of rank 2"):
        two_stage.poly2sls(treated, z, y, degree=3)
    # 0 / 1 treatments are fine where a line is fitted, and the answer is Wald's ratio
    arm = (z[:, :1] > 0) * 1.0
    effect = np.diff(two_stage.tsls(treated, arm, y)(np.array([[0.0], [1.0]])))
    one, zero = arm[:, 0] == 1, arm[:, 0] == 0
    wald = (y[one].mean() - y[zero].mean()) / (treated[one].mean() - treated[zero].mean())
    np.testing.assert_allclose(effect, wald, rtol=1e-9)
    same = np.c_[z[:, 0], 2 * z[:, 0] + 1]
    with pytest.raises(UsageError, match="z: 3 coefficients are not identified by terms of rank 2"):
        two_stage.tsls(np.c_[x, z[:, 1]], same, y)
    with pytest.raises(UsageError, match="x: 3 coefficients are not identified"):
        two_stage.ols(np.c_[x, 3 * x], y)


def test_the_plugin_refuses_where_no_setting_has_a_score(small):
    x, z, _ = small
    with pytest.raises(NumericalFailure, match="degrees, ridges: none of the 33 candidates"):
        two_stage.poly2sls_plugin(x, z, np.zeros(48))
