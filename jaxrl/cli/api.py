"""The commands as Python functions, for notebooks and for the command line itself.

import jaxrl.cli.api as run
folder = run.run("baselines/ppo_cartpole", "smoke", seeds=2)
folder.load_result()

Each sets devices and the compilation cache up as the command line does, so that a run has the same bits
either way; call one of them before anything else asks jax for its devices.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from jaxrl.cli import execution, machine, overrides, plan
from jaxrl.cli.notebook import Run
from jaxrl.core.errors import UsageError
from jaxrl.core.files import as_path
from jaxrl.run import catalogue, lanes
from jaxrl.run.folder import RunFolder


def run(
    experiment: str,
    preset: str = "smoke",
    *,
    out: str | Path | None = None,
    root: str | Path | None = None,
    lane: lanes.Lane = "auto",
    work: int | None = None,
    **fields: Any,
) -> Run:
    """Runs `experiment` (`<family>/<name>`) and returns its folder, with result, figures and report.

    fields: fields of its `Config`, nested ones as `**{"hyper.lr": 1e-3}`; a field that the preset's grid
    sweeps is then no longer swept. out: folder of runs, by default `runs` below the root. lane: members that
    run as one batch, as for `jaxrl.run.train.train`. work: devices that share each member, for experiments
    whose algorithm allows it. Raises `UsageError` for unknown names and refused values, `NumericalFailure`
    where members diverged, after everything was saved.
    """
    module, config, folder = begin(experiment, preset, out=out, root=root, lane=lane, work=work, **fields)
    execution.execute(module, config, folder)
    return folder


def begin(
    experiment: str,
    preset: str,
    *,
    out: str | Path | None = None,
    root: str | Path | None = None,
    lane: lanes.Lane = "auto",
    work: int | None = None,
    **fields: Any,
) -> tuple[ModuleType, Any, Run]:
    """Makes a run folder; returns what `execution.execute` takes. The arguments are those of `run`."""
    lanes.checked_work(work)
    base = execution.find_root(root)
    machine.set_up(base)
    module = catalogue.load(base, experiment)
    config = overrides.override(overrides.named_preset(module, experiment, preset), fields)
    plan.refuse_beyond_memory(plan.estimate(module, config))
    folder = Run.create(experiment, config, execution.runs_folder(base, out), preset, lane)
    folder.root, folder.work = base, work
    return module, config, folder


def resume(
    path: str | Path,
    *,
    start: int | str = "latest",
    debug_nan: bool = False,
    work: int | None = None,
    root: str | Path | None = None,
) -> Run:
    """Continues the run at `path` from a verified checkpoint: a step, "latest" or "latest-good".

    work: devices that share each member, by default as many as before. Raises `CorruptInput` for damaged
    checkpoints, `UsageError` where config.json is no longer what was run.
    """
    lanes.checked_work(work)
    folder, module, config = _reopened(path, root)
    folder.resume_from, folder.debug_nan, folder.work = start, debug_nan, work
    execution.execute(module, config, folder)
    return folder


def figure(path: str | Path, *, dest: str | Path | None = None, root: str | Path | None = None) -> list[Path]:
    """Draws the figures of a run again from its result, without training.

    dest: folder of the figures, by default `figures` inside the run folder. Raises `StorageError` where it
    cannot be written.
    """
    folder, module, _ = _reopened(path, root)
    return execution.draw(module, folder, dest)


def export(
    path: str | Path,
    to: Literal["csv", "parquet", "policy"] = "csv",
    *,
    member: int | None = None,
    stage: str | None = None,
    dest: str | Path | None = None,
    root: str | Path | None = None,
) -> list[Path]:
    """Writes the metrics of a run as a table, or the trained policy of one member; returns the files.

    member: whose policy, by default 0. stage: which population of a run that trains several. dest: folder, by
    default `export` inside the run folder. Raises `MissingExtra` where Parquet needs a library,
    `StorageError` where the folder cannot be written, `UsageError` for a member that does not exist, and for
    a member or a stage beside a table, which holds them all.
    """
    from jaxrl.cli import export as formats

    chosen = {"member": member, "stage": stage}
    unused = [name for name, value in chosen.items() if value is not None and to != "policy"]
    if unused:
        raise UsageError(
            f"{unused[0]}: chooses a policy, and a table holds every one; leave it, or export a policy"
        )

    folder = RunFolder.open(path)
    target = folder.path / "export" if dest is None else as_path("dest", dest)
    if to != "policy":
        return [formats.export_metrics(folder, target, to)]
    folder, module, config = _reopened(path, root)
    return formats.export_run(module, config, folder, target, member=member or 0, stage=stage)


def verify(path: str | Path, *, root: str | Path | None = None) -> dict[str, Any]:
    """Checks the run at `path` against its hashes and against a replay; returns counts of what was checked.

    Raises `CorruptInput` that names the first difference, `UsageError` where jax already runs on a single
    device, which gives other bits.
    """
    from jaxrl.cli import verify as checks

    folder, module, config = _reopened(path, root)
    return checks.verify(module, config, folder)


def _reopened(path: str | Path, root: str | Path | None) -> tuple[Run, ModuleType, Any]:
    folder = Run.open(path)
    folder.root = None if root is None else Path(root)
    machine.set_up(execution.find_root(root, folder.path), folder)
    module, config = execution.reopen(folder, root)
    return folder, module, config
