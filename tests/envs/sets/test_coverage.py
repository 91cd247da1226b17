"""Coverage by hand, and parameters that are refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.coverage import Coverage, coverage_params


def test_default_coverage_counts_distinct_items():
    F = Coverage(4)
    stat, gains = F.init(F.default_params()), []
    for item in (2, 2, 0, 1, 0):
        stat, gain = F.add(F.default_params(), stat, item)
        gains.append(float(gain))
    assert gains == [1, 0, 1, 1, 0] and float(F.value(F.default_params(), stat)) == 3


def test_parameters_may_be_truth_values_or_zeros_and_ones():
    for covers in ([[True, False], [True, True]], [[1, 0], [1, 1]], [[1.0, 0.0], [1.0, 1.0]]):
        params = coverage_params(covers, [2, 3])
        assert params.covers.dtype == bool and params.weight.dtype == jnp.float32
        np.testing.assert_array_equal(params.covers, [[1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: coverage_params(np.ones(3)), "coverage_params.covers: shape"),
        (
            lambda: coverage_params(np.array([[1.0, np.nan]])),
            "coverage_params.covers: must hold truth values",
        ),
        (lambda: coverage_params(np.array([[1.0, 0.5]])), "coverage_params.covers: must hold truth values"),
        (lambda: coverage_params(np.ones((3, 2)), [1, -1]), "coverage_params.weight: has negative"),
        (lambda: coverage_params(np.ones((3, 2)), [1, 1e39]), "coverage_params.weight: .* not finite"),
        (lambda: coverage_params(np.ones((3, 2)), [1]), "coverage_params.weight: has shape"),
        (lambda: Coverage(9).init(Coverage(8).default_params()), "Coverage.covers: has shape"),
        (lambda: Coverage(0), "Coverage.n_items"),
        (lambda: Coverage(3, 2.5), "Coverage.n_universe"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Coverage(0), r"Coverage\.n_items: must be >= 1"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
