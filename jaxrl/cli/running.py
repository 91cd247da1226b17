"""Commands that train: run, sweep, resume."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxrl.cli import execution, help, machine, options, plan
from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.run import terminal
from jaxrl.run.config import config_to_dict, differences
from jaxrl.run.folder import RunFolder


def run(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run one configuration: jaxrl run EXPERIMENT PRESET [--field value ...]."""
    if _names_missing(args):
        _explain(args, "run", "EXPERIMENT PRESET", options.RunOptions, run)
    return _run(plan.read("run", args, root, options.RunOptions))


def sweep(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run a grid as one program: jaxrl sweep EXPERIMENT PRESET --grid hyper.lr=1e-4,3e-4 --seeds 8."""
    if _names_missing(args):
        _explain(args, "sweep", "EXPERIMENT PRESET | FILE.json", options.SweepOptions, sweep)
    wanted = plan.read("sweep", args, root, options.SweepOptions)
    plan.require_grid(wanted.config)
    if not wanted.config.grid:
        raise UsageError("sweep: nothing to vary; add --grid FIELD=VALUE,VALUE,...")
    if wanted.chosen.slurm:
        return _submit(plan.grid_commands(wanted), execution.runs_folder(wanted.root, wanted.chosen.out))
    if wanted.chosen.print:
        commands = [shlex.join(c) for c in plan.grid_commands(wanted)]
        print("\n".join(commands))
        return {"commands": commands}
    return _run(wanted)


def resume(args: list[str], root: Path | None) -> dict[str, Any]:
    """Continue an interrupted run: jaxrl resume RUN [--from latest-good]."""
    if _names_missing(args):
        _explain(args, "resume", "RUN", options.ResumeOptions, resume)
    folder = RunFolder.open(args[0])
    module, config = execution.reopen(folder, root)
    text = f"{(module.__doc__ or '').strip()}\n\nThe configuration of a run is shown; it cannot be changed."
    asked, chosen = help.parse_config("resume RUN", args[1:], config, options.ResumeOptions, text)
    changed = differences(config_to_dict(config), config_to_dict(asked))
    if changed:
        raise UsageError(
            f"a run is resumed with the configuration it began with; asked to change {'; '.join(changed)}."
            f" A changed configuration is a new run: jaxrl run {folder.experiment} {folder.preset} ..."
        )
    folder.resume_from = int(chosen.start) if chosen.start.isdigit() else chosen.start
    folder.debug_nan, folder.work = chosen.debug_nan, chosen.work
    folder.writes = _compute_on(chosen, execution.find_root(root, folder.path), folder)
    return _execute(module, config, folder, chosen.live)


def _run(wanted: plan.Plan) -> dict[str, Any]:
    if wanted.chosen.dry_run or wanted.chosen.print_config:
        document = plan.preview(wanted)
        print(json.dumps(document, indent=2, allow_nan=False))
        return document
    plan.refuse_beyond_memory(plan.estimate(wanted.module, wanted.config))
    _compute_on(wanted.chosen, wanted.root)
    out = execution.runs_folder(wanted.root, wanted.chosen.out)
    folder = execution.create_folder(wanted.experiment, wanted.config, out, wanted.preset, wanted.chosen.lane)
    folder.work = wanted.chosen.work
    terminal.out(f"run     {folder.path}")
    return _execute(wanted.module, wanted.config, folder, wanted.chosen.live)


def _compute_on(chosen: options.ComputeOptions, root: Path, folder: RunFolder | None = None) -> bool:
    """Sets devices and processes up as chosen; returns whether this process writes the run folder."""
    from jaxrl.run import distributed

    single = folder is not None and machine.made_on_one_device(folder)
    machine.configure_jax(root, chosen.devices, single=single)
    if chosen.coordinator is not None:
        distributed.initialize(chosen.coordinator, chosen.processes, chosen.process)
    machine.require_backend()
    if folder is not None:
        machine.require_same_bits(folder)
    return distributed.is_primary()


def _execute(module: ModuleType, config: Any, folder: RunFolder, live: bool) -> dict[str, Any]:
    execution.execute(module, config, folder, live=live)
    figures = sorted(folder.figures.glob("*.png"))
    page = folder.path / "report.html"
    for path in figures:
        terminal.out(f"figure  {path}")
    terminal.out(f"report  {page}")
    return {
        "run": str(folder.path),
        **folder.status,
        "figures": [str(p) for p in figures],
        "report": str(page),
    }


def _submit(commands: list[list[str]], out: Path) -> dict[str, Any]:
    try:
        import submitit  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra("slurm: submitit is not installed; pip install 'jaxrl[slurm]'") from error
    executor = submitit.AutoExecutor(folder=out / "slurm")
    with executor.batch():
        jobs = [executor.submit(submitit.helpers.CommandFunction(command)) for command in commands]
    for job in jobs:
        print(job.job_id)
    return {"jobs": [job.job_id for job in jobs], "commands": [shlex.join(c) for c in commands]}


def _names_missing(args: list[str]) -> bool:
    return not args or args[0].startswith("-")


def _explain(args: list[str], command: str, names: str, options_type: type, function: Any) -> None:
    """Shows the help of a command whose first arguments are missing, else raises `UsageError`."""
    if not {"-h", "--help"} & set(args):
        raise UsageError(f"{command}: expected {names} first; `jaxrl list` shows the experiments")
    more = (
        ""
        if command == "resume"
        else "\n\n`jaxrl run EXPERIMENT --help` shows the fields of its configuration."
    )
    help.parse_options(f"{command} {names}", ["--help"], options_type, f"{function.__doc__}{more}")
