"""Datasets beside the spaces of a task: what a learner must refuse before it trains.

Legend: `n` rows of a dataset.
"""

from __future__ import annotations

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Space
from jaxrl.data.dataset import Dataset
from jaxrl.data.fit import bounds_of, check_weights, misfit, on_host, outside


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
    if not on_host(data):
        return
    counted = np.ones(data.size, bool) if data.mask is None else np.asarray(data.mask) > 0
    for field, space in fields.items():
        bad = counted & outside(getattr(data, field), space, boxes=field == "action")
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            fix = "clip or rescale the actions" if field == "action" else "give the space of the recording"
            raise UsageError(f"{name}.{field}: row {row} lies outside {bounds_of(space)}; {fix}")
