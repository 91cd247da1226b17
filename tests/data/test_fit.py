"""Rows beside a space: what keeps them from it, and which lie outside."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.data.fit import check_weights, misfit, outside

SPACE = {"arm": Box((-1.0, 0.0), (1.0, np.inf), (2,)), "key": Discrete(3)}


def rows(arm, key):
    return {"arm": np.asarray(arm, np.float32), "key": np.asarray(key)}


def test_rows_outside_of_any_part_are_found():
    found = outside(rows([[0, 0], [0, -1], [2, 5], [0, 1e30], [np.nan, 0]], [0, 0, 0, 3, 1]), SPACE)
    np.testing.assert_array_equal(found, [False, True, True, True, True])


def test_boxes_can_be_left_out():
    found = outside(rows([[9, 9], [0, 0]], [0, -1]), SPACE, boxes=False)
    np.testing.assert_array_equal(found, [False, True])


def test_bounds_that_the_type_of_the_rows_cannot_hold():
    """A bound of -1 or infinity does not wrap around in the type of the data."""
    found = outside(np.asarray([[0], [200]], np.uint8), Box(-1, 100, (1,), np.int32))
    np.testing.assert_array_equal(found, [False, True])
    assert not outside(np.asarray([[2**31 - 1]], np.int32), Box(-np.inf, np.inf, (1,), np.int32)).any()


def test_misfits_end_a_sentence():
    assert misfit(rows([[0, 0]], [0]), SPACE) is None
    assert misfit(rows([[0, 0]], [0.0]), SPACE) == "has type float64; the space is discrete, give integers"
    assert misfit(rows([0.0], [0]), SPACE) == "has shape () per row, the space (2,); reshape the array"
    assert "structure" in misfit(np.zeros((1, 2)), SPACE)


@pytest.mark.parametrize("weights", [[3e38, 3e38], [1e-45, 0]])
def test_weights_whose_sum_float32_cannot_hold(weights):
    """Sums on the way down the tree of a draw would be infinite, or rounded to zero."""
    with pytest.raises(UsageError, match=r"^w: sums to .*, which float32 cannot hold; divide all"):
        check_weights(np.float32(weights), "w")
    check_weights(np.float32([3e38, 1e-45]), "w")
