"""Learning curves of a run as arrays, and as a pandas frame where pandas is installed.

Legend: `L` log points, `B` members of the population, `m` components of a vector metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.run.folder import RunFolder

_NO_METRICS = ("stage", "update", "nonfinite")


def curves(folder: RunFolder, stage: str | None = None) -> dict[str, np.ndarray]:
    """Return what a run has logged, one array per name.

    Args:
        folder: A run, which may still be in progress.
        stage: The stage to read; by default the last one that logged anything.

    Returns:
        `update`, int64[L]; totals such as `env_steps` and `wall_s`, float64[L]; every metric, float64[L, B]
        or float64[L, B, m]. An entry is NaN where a member had nothing to report or was not finite.

    Raises:
        UsageError: The run has logged nothing, or nothing in that stage.
    """
    records = _records(folder, stage)
    found: dict[str, np.ndarray] = {"update": np.array([record["update"] for record in records], np.int64)}
    for name in dict.fromkeys(name for record in records for name in record if name not in _NO_METRICS):
        values = [record.get(name) for record in records]
        shape = next(np.shape(_numbers(value)) for value in values if value is not None)
        rows = [np.full(shape, np.nan) if value is None else _numbers(value) for value in values]
        found[name] = np.stack(rows)
    return found


def frame(folder: RunFolder) -> Any:
    """Return what a run has logged as a tidy pandas frame.

    One row per stage, update and member, one column per metric; a vector metric has one column per component,
    `name[0]` and so on.

    Raises:
        MissingExtra: pandas is not installed.
        UsageError: The run has logged nothing.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("frame: pandas is not installed; pip install 'jaxrl[notebook]'") from error
    parts = [_table(stage, curves(folder, stage)) for stage in _stages(folder)]
    return pandas.concat([pandas.DataFrame(part) for part in parts], ignore_index=True)


def _stages(folder: RunFolder) -> list[str | None]:
    logged = (record.get("stage") for record in folder.read_metrics() if "update" in record)
    return list(dict.fromkeys(logged)) or [None]


def _records(folder: RunFolder, stage: str | None) -> Sequence[dict[str, Any]]:
    records = [record for record in folder.read_metrics() if "update" in record]
    if not records:
        raise UsageError(f"{folder.path}: nothing was logged; the run has not come to its first log point")
    known = dict.fromkeys(record.get("stage") for record in records)
    if stage is not None and stage not in known:
        raise UsageError(f"{folder.path}: no stage {stage!r}; there are {', '.join(map(str, known))}")
    chosen = list(known)[-1] if stage is None else stage
    return [record for record in records if record.get("stage") == chosen]


def _numbers(value: Any) -> np.ndarray:
    """A logged value, with NaN in place of null."""
    return np.asarray(value, np.float64)


def _table(stage: str | None, found: dict[str, np.ndarray]) -> dict[str, Any]:
    updates = found["update"]
    members = max((x.shape[1] for x in found.values() if x.ndim > 1), default=1)
    columns: dict[str, Any] = {
        "stage": [stage] * (len(updates) * members),
        "update": np.repeat(updates, members),
        "member": np.tile(np.arange(members), len(updates)),
    }
    for name, values in found.items():
        if name == "update":
            continue
        if values.ndim == 1:
            columns[name] = np.repeat(values, members)
        elif values.ndim == 2:
            columns[name] = values.reshape(-1)
        else:
            flat = values.reshape(len(updates) * members, -1)
            columns |= {f"{name}[{i}]": flat[:, i] for i in range(flat.shape[1])}
    return columns
