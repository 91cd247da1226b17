"""The result of the check of a theorem."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

IDENTITY = 1e-10  # both sides of an identity, in float64
ROUNDING = 1e-12  # by how much rounding may violate an inequality


class Result(NamedTuple):
    """Outcome of a check.

    measured: the largest error, or the largest `left - right` of `left <= right`; bound: its limit.
    """

    measured: float
    bound: float
    ok: bool


def identity(*errors: Any) -> Result:
    """The result of an identity, from arrays that vanish if the theorem holds."""
    return _at_most(max(float(np.abs(e).max()) for e in errors), IDENTITY)


def inequality(left: Any, right: Any) -> Result:
    """The result of `left <= right` over arrays of instances; the negated worst margin is `measured`."""
    return _at_most(float((np.asarray(left) - np.asarray(right)).max()), ROUNDING)


def _at_most(measured: float, bound: float) -> Result:
    return Result(measured, bound, bool(measured <= bound))
