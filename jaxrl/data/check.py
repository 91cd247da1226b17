"""Datasets beside the spaces of a task: what a learner must refuse before it trains.

Legend: `n` rows of a dataset.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Space
from jaxrl.core.types import PyTree
from jaxrl.data.dataset import Dataset
from jaxrl.data.fit import bounds_of, misfit, outside


def check_dataset(
    data: Dataset, observation_space: Space, action_space: Space, *, name: str = "data"
) -> None:
    """Raises `UsageError` unless a learner for these spaces can be trained on `data`.

    Checked are: one row or more; the structure, the shape per row and the kind (integers or floats) of
    observations, successors and actions; that indices of a `Discrete` part are in range, and actions within
    the bounds of a `Box`; that weights are finite, not negative and not all zero. Values of observations in a
    `Box` are not checked, since many environments leave the bounds that they declare.

    While a program is traced there are no values, and only what types tell is checked. `Algorithm.check`
    calls this on the host. name: what the sentence of an error calls the dataset.
    """
    if not data.size:
        raise UsageError(f"{name}: has no rows; give at least one transition")
    fields = {"obs": observation_space, "next_obs": observation_space, "action": action_space}
    for field, space in fields.items():
        if problem := misfit(getattr(data, field), space):
            raise UsageError(f"{name}.{field}: {problem}")
    check_weights(data.mask, f"{name}.mask")
    if not _on_host(data):
        return
    counted = np.ones(data.size, bool) if data.mask is None else np.asarray(data.mask) > 0
    for field, space in fields.items():
        bad = counted & outside(getattr(data, field), space, boxes=field == "action")
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            fix = "clip or rescale the actions" if field == "action" else "give the space of the recording"
            raise UsageError(f"{name}.{field}: row {row} lies outside {bounds_of(space)}; {fix}")


def check_weights(mask: Any, name: str) -> None:
    """Raises `UsageError` for weights `[n]` that are negative, not finite or all zero; tracers pass."""
    if mask is None or not _on_host(mask):
        return
    weights = np.asarray(mask)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UsageError(f"{name}: is {weights[row]} in row {row}; weights must be finite and >= 0")
    if not (weights > 0).any():
        raise UsageError(f"{name}: is zero in every row, so no row can be drawn; give one a weight")


def _on_host(tree: PyTree) -> bool:
    """Whether the leaves have values, which tracers and `ShapeDtypeStruct` do not."""
    return not any(isinstance(x, jax.core.Tracer | jax.ShapeDtypeStruct) for x in jax.tree.leaves(tree))
