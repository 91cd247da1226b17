"""Fields of configurations and hyper-parameters that the learners on linear mixtures share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxrl.core.fields import NonNegative, Positive, Range, Size, check_fields
from jaxrl.core.types import struct


@dataclass(frozen=True)
class Config:
    """Static choices of a learner on linear mixtures."""

    horizon: Size = 8
    """Largest horizon H that the program serves, in steps; `Hyper.horizon` is at most this."""
    episodes: Size = 100
    """Episodes per update."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of a learner on linear mixtures, each a leaf that can be swept."""

    horizon: Annotated[int, Range(1)] = 8
    """Horizon H in steps, 1 .. `Config.horizon`."""
    c_beta: Positive = 0.2
    """Multiplier of the radius, > 0. Belongs beside every certificate. Paper: 1, of the radius of the
    theorem."""
    delta: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.1
    """Failure probability of one radius, in (0, 1)."""
    bound: Positive = 1.0
    """The bound B >= |theta*|, > 0."""
    ratio: Annotated[float, Range(1)] = 1.2
    """Growth of the determinants after which a new plan is made, >= 1; 1 plans in every episode. Paper: 1."""
    shadow: NonNegative = 1e-6
    """Weight of the sum without ceiling that decides between actions of equal value, >= 0. Paper: 0."""
