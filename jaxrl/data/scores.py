"""Normalised scores: 0 for acting at random, 100 for the reference expert.

    score = 100 (R - random) / (expert - random)

The table is that of D4RL (Fu et al. 2020, `infos.py`); its experts of maze2d never plan again, so that good
policies score well above 100. Suites of our own carry their references in their metadata.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxrl.core.errors import UsageError
from jaxrl.data.dataset import Dataset


class Reference(NamedTuple):
    """Mean returns of a uniformly random policy and of an expert."""

    random: float
    expert: float


# by prefix of the dataset's name; the first that fits is taken
REFERENCES = {
    "halfcheetah": Reference(-280.178953, 12135.0),
    "hopper": Reference(-20.272305, 3234.3),
    "walker2d": Reference(1.629008, 4592.3),
    "antmaze": Reference(0.0, 1.0),
    "ant": Reference(-325.6, 3879.7),
    "kitchen": Reference(0.0, 4.0),
    "pen": Reference(96.262799, 3076.8331017826877),
    "hammer": Reference(-274.856578, 12794.134825156867),
    "relocate": Reference(-6.425911, 4233.877797728884),
    "door": Reference(-56.512833, 2880.5693087298737),
    "maze2d-umaze-dense": Reference(68.537689, 193.66285642),
    "maze2d-medium-dense": Reference(44.264742, 297.45525478),
    "maze2d-large-dense": Reference(30.569041, 303.48573827),
    "maze2d-umaze": Reference(23.85, 161.86),
    "maze2d-medium": Reference(13.13, 277.39),
    "maze2d-large": Reference(6.7, 273.99),
}


def reference(name: str) -> Reference:
    """D4RL's reference for a dataset, e.g. "hopper-medium-v2"; `UsageError` if there is none."""
    for prefix, found in REFERENCES.items():
        if name == prefix or name.startswith(prefix + "-"):
            return found
    raise UsageError(f"name: no reference scores for {name!r}; known: {', '.join(sorted(REFERENCES))}")


def reference_of(data: Dataset) -> Reference:
    """`ref_random` and `ref_expert` of a dataset's metadata; `UsageError` where it has none."""
    meta = dict(data.meta)
    if missing := [name for name in ("ref_random", "ref_expert") if name not in meta]:
        raise UsageError(f"data.meta: has no {missing[0]}; D4RL data have jaxrl.data.scores.reference(name)")
    return Reference(float(meta["ref_random"]), float(meta["ref_expert"]))


def normalised_score(returns: Any, reference: Reference) -> Any:
    """Scores of returns of any shape `[...]`, in the same shape; see the file."""
    return 100.0 * (returns - reference.random) / (reference.expert - reference.random)
