"""Runs in other programs' formats: metrics as a table, and the policy that a run has trained."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxrl.cli import policies
from jaxrl.cli.execution import precision, scratch_copy
from jaxrl.core.errors import MissingExtra, StorageError, UsageError
from jaxrl.core.types import Algorithm, PyTree
from jaxrl.run.folder import RunFolder, atomic_write


class Population(NamedTuple):
    """One stage of a run: the algorithm, and its members' hyper-parameters and states, leaves `[B, ...]`."""

    algorithm: Algorithm
    hypers: PyTree
    state: PyTree


class WatchedRun(RunFolder):
    """A run folder that keeps the populations that are trained in it, by stage."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.populations: dict[str, Population] = {}

    def trained(self, stage: str, algorithm: Algorithm, hypers: PyTree, state: PyTree) -> None:
        """Keeps a population."""
        self.populations[stage] = Population(algorithm, hypers, state)


def export_metrics(folder: RunFolder, dest: Path, kind: str) -> Path:
    """Writes metrics.csv or metrics.parquet: one row per log point; `name[i]` columns hold the members.

    Raises `MissingExtra` where Parquet needs a library, `StorageError` where `dest` cannot be written,
    `UsageError` for a run that has logged nothing.
    """
    records = [_columns(r) for r in folder.read_metrics()]
    if not records:
        raise UsageError(f"{folder.path}: the run has logged nothing, so that there is no table to export")
    names = list(dict.fromkeys(name for r in records for name in r))
    policies.make_folder(dest)
    path = dest / f"metrics.{kind}"
    if kind == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, names)
        writer.writeheader()
        writer.writerows(records)
        atomic_write(path, buffer.getvalue())
        return path
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra("parquet: pyarrow is not installed; pip install pyarrow") from error
    table = pyarrow.table({name: [r.get(name) for r in records] for name in names})
    try:
        pyarrow.parquet.write_table(table, path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error}); name another --dest") from error
    return path


def export_run(
    module: ModuleType,
    config: Any,
    folder: RunFolder,
    dest: Path,
    *,
    member: int = 0,
    stage: str | None = None,
) -> list[Path]:
    """Writes the policy of one member of a finished run; any experiment that trains with a folder has one.

    The run is only read: a copy of it is continued, which restores what was trained. Raises `UsageError` for
    a run that is not finished or trains nothing, and for a stage or a member that it does not have.
    """
    folder.load_result()  # a run that has not finished would be trained to its end
    with precision(config):
        with scratch_copy(folder, WatchedRun) as copy:
            module.run(config, copy)
        algorithm, state, hyper = _member_of(copy.populations, folder.experiment, member, stage)
        return policies.export_policy(dest, algorithm, state, hyper)


def _member_of(
    found: dict[str, Population], experiment: str, member: int, stage: str | None
) -> tuple[Algorithm, PyTree, PyTree]:
    """Algorithm, state and hyper-parameters of one member, the latter two without a population axis."""
    if not found:
        raise UsageError(f"{experiment}: trains no algorithm in its run folder, nothing to export")
    if stage is None and len(found) == 1:
        stage = next(iter(found))
    if stage not in found:
        raise UsageError(f"stage: the run has {', '.join(found)}; got {stage}")
    algorithm, hypers, state = found[stage]
    size = int(state.updates.shape[0])
    if not 0 <= member < size:
        raise UsageError(f"member: must be >= 0 and < {size}, got {member}")
    return algorithm, *policies.one_member((state, hypers), member)


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    """Lists as `name[i]` entries, nested ones as `name[i,j]`."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "nonfinite":
            flat[name] = " ".join(value)
        elif isinstance(value, list):
            array = np.array(value, dtype=object)
            for index in np.ndindex(array.shape):
                flat[f"{name}[{','.join(map(str, index))}]"] = array[index]
        else:
            flat[name] = value
    return flat
