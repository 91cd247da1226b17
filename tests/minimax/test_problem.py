"""Problems and observations: what is refused, and dtypes."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.problem import minibatch, points, problem

T = np.array([[1, -0.5], [-0.25, 1]])


BAD = {
    "lam": (lambda: problem(T, [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1], lam=-1), "lam: must be >= 0"),
    "p": (lambda: problem(T, [1, 0], [0.5, 0.6], [0.5, 0.5], [0, 1], [0, 1]), r"problem.p: weights .* 1.1"),
    "T": (lambda: problem(T, [1, 0, 2], [0.5, 0.5], [1.0], [0, 1], [0]), r"problem.T: shape \(2, 2\)"),
    "nan": (lambda: problem(T * np.nan, [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1]), "T: every number"),
    "points": (lambda: points(np.zeros((2, 1)), 0, 0, np.zeros((2, 1, 1))), r"points.x, points.z: expected"),
    "batch": (lambda: minibatch(0), "minibatch: size"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(UsageError, match=message):
        call()


def _observed(x=1.0, y=(0.5, 1.7), dtype=np.float32):
    return points(np.full((2, 1, 1), x, dtype), np.ones((2, 1)), y, np.ones((2, 1, 1)))


def test_integer_treatments_leave_outcomes_as_they_are():
    made = _observed(1, dtype=np.int64)
    assert made.x.dtype == made.b.dtype == made.weight.dtype == np.float64
    np.testing.assert_array_equal(made.b, [0.5, 1.7])
    np.testing.assert_array_equal(made.weight, [0.5, 0.5])
    assert _observed().b.dtype == np.float32


@pytest.mark.parametrize("name", ["b", "x", "z", "c", "u", "d"])
def test_observations_are_finite(name):
    fields = {"x": np.ones((2, 1, 1)), "c": np.ones((2, 1)), "b": np.ones(2), "z": np.ones((2, 1, 1))}
    fields |= {"u": np.ones(2), "d": np.ones((2, 1))}
    fields[name] = fields[name] * np.array([1, np.nan]).reshape(2, *[1] * (fields[name].ndim - 1))
    with pytest.raises(UsageError, match=rf"points\.{name}: every number must be finite"):
        points(**fields)


def test_outcomes_too_large_for_the_dtype_are_refused():
    with pytest.raises(UsageError, match=r"points.b: every number must be finite in float32"):
        _observed(y=(1.0, 1e39))
