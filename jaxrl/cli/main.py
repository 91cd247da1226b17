"""The command `jaxrl`: one function per verb, each returning what `--json` prints.

Nothing heavy is imported before a verb needs it: `--help`, `list` and an unknown name answer without jax.
Errors that a user can act on are one line on standard error and the exit code of their class.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxrl.cli import api, options, plan
from jaxrl.core.errors import JaxrlError, MissingExtra, NumericalFailure, UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import config_to_dict, differences
from jaxrl.run.folder import RunFolder


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = options.take_flag(args, "--json")
    code = 0
    with _stdout_for(as_json) as stdout:
        try:
            document = _dispatch(args)
        except SystemExit as stop:  # tyro: help (0) or a usage message (2), already printed
            code = stop.code if isinstance(stop.code, int) else 2
            document = {"error": "usage", "exit_code": code} if code else {}
        except JaxrlError as error:
            code, document = error.exit_code, {"error": str(error), "exit_code": error.exit_code}
            print(f"jaxrl: {error}", file=sys.stderr)
        except BrokenPipeError:  # the reader, `| head` for example, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            document = {}
        except KeyboardInterrupt:
            code, document = 130, {"error": "interrupted", "exit_code": 130}
            print("jaxrl: interrupted", file=sys.stderr)
        if as_json:
            stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
            stdout.flush()
    return code


def experiment_main(module_name: str) -> int:
    """`python -m experiments.<family>.<name> ...`, the same as `jaxrl run <family>/<name> ...`."""
    name = module_name.removeprefix("experiments.").replace(".", "/")
    return main(["run", name, *sys.argv[1:]])


def _dispatch(args: list[str]) -> Any:
    text = options.take_option(args, "--root")
    if not args or args[0] in ("-h", "--help"):
        print(_overview())
        return {"commands": list(VERBS)}
    verb, rest = args[0], args[1:]
    if verb not in VERBS:
        raise UsageError(catalogue.unknown("command", verb, VERBS) + "; `jaxrl --help` shows all")
    return VERBS[verb](rest, None if text is None else Path(text))


def list_verb(args: list[str], root: Path | None) -> list[dict[str, Any]]:
    """Experiments with their presets."""
    _no_more(args, "list")
    found = catalogue.find(api.find_root(root))
    width = max((len(e.name) for e in found), default=0)
    for e in found:
        print(f"{e.name:{width}}  {' '.join(e.presets):18}  {e.title}")
    return [{"name": e.name, "presets": list(e.presets), "title": e.title} for e in found]


def run_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run one configuration: jaxrl run EXPERIMENT PRESET [--field value ...]."""
    if _names_missing(args):
        _explain(args, "run", "EXPERIMENT PRESET", options.RunOptions)
    return _run(plan.read("run", args, root, options.RunOptions))


def sweep_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run a grid as one program: jaxrl sweep EXPERIMENT PRESET --grid hyper.lr=1e-4,3e-4 --seeds 8."""
    if _names_missing(args):
        _explain(args, "sweep", "EXPERIMENT PRESET | FILE.json", options.SweepOptions)
    file = Path(args[0]) if args[0].endswith(".json") else None
    names, texts, fields = ([], [], {}) if file is None else plan.read_sweep_file(file)
    args = [*names, *args[file is not None :]]
    texts += options.take_options(args, "--grid")
    wanted = plan.read("sweep", args, root, options.SweepOptions, fields)
    wanted.file = file
    if not hasattr(wanted.config, "grid"):
        raise UsageError(f"{wanted.experiment}: its Config has no field 'grid', it cannot be swept")
    if texts:
        wanted.config = api.override(wanted.config, {"grid": plan.parse_grid(wanted.config, texts)})
    if not wanted.config.grid:
        raise UsageError("sweep: nothing to vary; add --grid FIELD=VALUE,VALUE,...")
    if wanted.chosen.slurm:
        return _submit(plan.grid_commands(wanted), api.runs_folder(wanted.root, wanted.chosen.out))
    if wanted.chosen.print:
        commands = [shlex.join(c) for c in plan.grid_commands(wanted)]
        print("\n".join(commands))
        return {"commands": commands}
    return _run(wanted)


def resume_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Continue an interrupted run: jaxrl resume RUN [--from latest-good]."""
    if _names_missing(args):
        _explain(args, "resume", "RUN", options.ResumeOptions)
    folder = RunFolder.open(args[0])
    module, config = api.reopen(folder, root)
    asked, chosen = options.parse_config(
        "resume RUN", args[1:], config, options.ResumeOptions, module.__doc__
    )
    changed = differences(config_to_dict(config), config_to_dict(asked))
    if changed:
        raise UsageError(
            f"a run is resumed with the configuration it began with; asked to change {'; '.join(changed)}."
            f" A changed configuration is a new run: jaxrl run {folder.experiment} {folder.preset} ..."
        )
    folder.resume_from = int(chosen.start) if chosen.start.isdigit() else chosen.start
    folder.debug_nan = chosen.debug_nan
    folder.writes = _compute_on(chosen, api.find_root(root, folder.path))
    return _execute(module, config, folder, chosen.live)


def report_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Write the page of runs, the index of all figures, or published tables."""
    from jaxrl.report import pages, tables

    chosen = options.parse_options("report", args, options.ReportOptions)
    if not chosen.runs and not chosen.index:
        raise UsageError("report: name a run folder, or ask for --index")
    base = api.find_root(root, *chosen.runs[:1])
    written = []
    for path in chosen.runs:
        folder = RunFolder.open(path)
        module = catalogue.load(base, folder.experiment)
        written.append(pages.write(folder, module))
        if chosen.publish:
            written += tables.publish(folder, module, base)
    if chosen.index:
        page = base / "out" / "index.html" if chosen.page is None else chosen.page.resolve()
        written.append(pages.write_index(page, api.runs_folder(base, chosen.out), base))
    return _files(written)


def export_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Metrics as CSV or Parquet, or the trained policy."""
    from jaxrl.cli import export

    chosen = options.parse_options("export", args, options.ExportOptions)
    folder = RunFolder.open(chosen.run)
    dest = folder.path / "export" if chosen.dest is None else chosen.dest.resolve()
    if chosen.to != "policy":
        return _files([export.export_metrics(folder, dest, chosen.to)])
    module, config = api.reopen(folder, root)
    api.configure_jax(api.find_root(root, folder.path))
    return _files(export.export_run(module, config, folder, chosen.member, dest))


def verify_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Check a run: hashes, result against checkpoint, bits of a replay."""
    from jaxrl.cli import verify

    folder = RunFolder.open(options.parse_options("verify", args, options.RunPath).run)
    module, config = api.reopen(folder, root)
    api.configure_jax(api.find_root(root, folder.path))
    facts = verify.verify(module, config, folder)
    line = verify.sentence(facts)
    print(f"\033[32m{line}\033[0m" if sys.stdout.isatty() else line)
    return facts


def figure_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Draw the figures of a run again from its result."""
    return _files(api.figure(options.parse_options("figure", args, options.RunPath).run, root=root))


def theory_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run the checks of the theorems and write theory/REPORT.md."""
    base = api.find_root(root)
    if not (base / "theory" / "report.py").exists():
        raise UsageError(f"root: {base} holds no theory/report.py")
    api.configure_jax(base)
    catalogue.on_path(base)
    if importlib.import_module("theory.report").main(args):
        raise JaxrlError("theory: some checks failed; theory/REPORT.md says which")
    return {"report": str(base / "theory" / "REPORT.md")}


def reproduce_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run experiments, all or one, and publish their tables: jaxrl reproduce [EXPERIMENT [PRESET]].

    A run with diverged members is published too, and does not keep the others from running.
    """
    from jaxrl.report import tables

    if len(args) > 2 or any(a.startswith("-") for a in args):
        raise UsageError("reproduce: expected at most EXPERIMENT and PRESET")
    base = api.find_root(root)
    names = [catalogue.lookup(base, args[0]).name] if args else [e.name for e in catalogue.find(base)]
    written, diverged = [], []
    for name in names:
        module, config, folder = api.begin(name, args[1] if len(args) > 1 else "quick", root=base)
        try:
            api.execute(module, config, folder)
        except NumericalFailure as error:  # everything was saved: the table says how many seeds are missing
            diverged.append(str(error))
        written += [folder.path, *tables.publish(folder, module, base)]
    document = _files(written)
    if diverged:
        raise NumericalFailure("\n".join(diverged))
    return document


def doctor_verb(args: list[str], root: Path | None) -> dict[str, Any]:
    """What a bug report should say about this machine."""
    from jaxrl.cli import doctor

    _no_more(args, "doctor")
    with contextlib.suppress(UsageError):
        root = api.find_root(root)
    api.configure_jax(root)
    facts = doctor.examine(root)
    for name, value in facts.items():
        print(f"{name:20} {value}")
    return facts


VERBS: dict[str, Callable[[list[str], Path | None], Any]] = {
    "list": list_verb,
    "run": run_verb,
    "sweep": sweep_verb,
    "resume": resume_verb,
    "report": report_verb,
    "export": export_verb,
    "verify": verify_verb,
    "figure": figure_verb,
    "theory": theory_verb,
    "reproduce": reproduce_verb,
    "doctor": doctor_verb,
}


def _run(wanted: plan.Plan) -> dict[str, Any]:
    if wanted.chosen.dry_run or wanted.chosen.print_config:
        document = plan.preview(wanted)
        print(json.dumps(document, indent=2, allow_nan=False))
        return document
    _compute_on(wanted.chosen, wanted.root)
    out = api.runs_folder(wanted.root, wanted.chosen.out)
    folder = api.create_folder(wanted.experiment, wanted.config, out, wanted.preset, wanted.chosen.lane)
    print(f"run     {folder.path}", flush=True)
    return _execute(wanted.module, wanted.config, folder, wanted.chosen.live)


def _compute_on(chosen: options.ComputeOptions, root: Path) -> bool:
    """Devices and processes as chosen; whether this process writes the run folder."""
    from jaxrl.run import distributed

    api.configure_jax(root, chosen.devices)
    if chosen.coordinator is not None:
        distributed.initialize(chosen.coordinator, chosen.processes, chosen.process)
    return distributed.is_primary()


def _execute(module: ModuleType, config: Any, folder: RunFolder, live: bool) -> dict[str, Any]:
    api.execute(module, config, folder, live=live)
    figures = sorted(folder.figures.glob("*.png"))
    pages = folder.path / "report.html"
    for path in figures:
        print(f"figure  {path}")
    print(f"report  {pages}")
    return {
        "run": str(folder.path),
        **folder.status,
        "figures": [str(p) for p in figures],
        "report": str(pages),
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


def _files(paths: Sequence[Path]) -> dict[str, Any]:
    for path in paths:
        print(path)
    return {"files": [str(p) for p in paths]}


# ---------------------------------------------------------------------------------------------------- texts


def _overview() -> str:
    verbs = (f"  {name:10} {(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items())
    return "\n".join(
        (
            "usage: jaxrl COMMAND ... [--root DIR] [--json]",
            "",
            *verbs,
            "",
            "  --root DIR  parent of experiments/; by default the nearest one above the working directory",
            "  --json      standard output is exactly one JSON document",
            "",
            "`jaxrl COMMAND --help` and `jaxrl run EXPERIMENT --help` say more.",
        )
    )


def _names_missing(args: list[str]) -> bool:
    return not args or args[0].startswith("-")


def _explain(args: list[str], verb: str, names: str, options_type: type) -> None:
    """Help of a verb whose first arguments are missing, else `UsageError`."""
    if not {"-h", "--help"} & set(args):
        raise UsageError(f"{verb}: expected {names} first; `jaxrl list` shows the experiments")
    print(f"{VERBS[verb].__doc__}\n")
    options.parse_options(f"{verb} {names}", ["--help"], options_type)


def _no_more(args: list[str], verb: str) -> None:
    if args in (["-h"], ["--help"]):
        print(f"usage: jaxrl {verb}\n\n{VERBS[verb].__doc__}")
        raise SystemExit(0)
    if args:
        raise UsageError(f"{verb}: takes no further arguments, got '{args[0]}'")


@contextlib.contextmanager
def _stdout_for(as_json: bool) -> Iterator[Any]:
    """Where the document goes. With `--json`, whatever else is printed, by C too, goes to standard error."""
    if not as_json:
        yield sys.stdout
        return
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        document = os.fdopen(os.dup(saved), "w", encoding="utf-8")
        with document, contextlib.redirect_stdout(sys.stderr):
            yield document
    finally:
        os.dup2(saved, 1)
        os.close(saved)


if __name__ == "__main__":
    raise SystemExit(main())
