"""Results reject what is not small and what is not a number."""

import numpy as np

from theory.exact.result import Result, identity, inequality


def test_an_identity_is_held_by_small_errors_alone():
    assert identity([1e-11], [[-9e-11]]).ok
    assert not identity([1e-11], [-2e-10]).ok
    assert not identity([np.nan]).ok


def test_an_inequality_is_held_by_rounding_alone():
    assert inequality([1.0, 2.0], [1.0, 3.0]) == Result(0.0, 1e-12, True)
    assert not inequality([1.0, 2.0], [1.5, 1.9]).ok
    assert not inequality([np.nan], [1.0]).ok
