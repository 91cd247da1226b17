"""Ranges and checks of hyper-parameters that several methods share."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range

Confidence = Annotated[float, Range(0, 1, open_low=True, open_high=True)]
"""A probability of failure, in (0, 1)."""


def check_horizon(config: Any, hyper: Any) -> None:
    """Raises `UsageError` where `hyper.horizon`, ints `[...]`, exceeds `config.horizon`, the tables' size."""
    largest = int(np.max(np.asarray(hyper.horizon)))
    if largest > config.horizon:
        raise UsageError(
            f"Hyper.horizon: {largest} exceeds Config.horizon = {config.horizon}; make the learner with"
            f" Config(horizon={largest}) or larger"
        )
