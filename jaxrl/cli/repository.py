"""Commands about the whole repository: list, theory, reproduce, doctor."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

from jaxrl.cli import api, execution, machine
from jaxrl.cli.results import say_files
from jaxrl.core.errors import JaxrlError, NumericalFailure, UsageError
from jaxrl.run import catalogue


def list_experiments(args: list[str], root: Path | None) -> list[dict[str, Any]]:
    """Show the experiments with their presets."""
    _no_more(args, "list", list_experiments)
    found = catalogue.find(execution.find_root(root))
    width = max((len(e.name) for e in found), default=0)
    for e in found:
        print(f"{e.name:{width}}  {' '.join(e.presets):18}  {e.title}")
    return [{"name": e.name, "presets": list(e.presets), "title": e.title} for e in found]


def theory(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run the checks of the theorems and write the report of every family whose theorems all ran."""
    if {"-h", "--help"} & set(args):
        _no_more(["--help"], "theory [FAMILY]", theory)
    base = execution.find_root(root)
    if not (base / "theory" / "report.py").exists():
        raise UsageError(f"root: {base} holds no theory/report.py")
    machine.set_up(base)
    catalogue.on_path(base)
    if importlib.import_module("theory.report").main(args):
        raise JaxrlError(
            "theory: some checks failed; the lines marked FAIL and theory/<family>/REPORT.md say which"
        )
    return {"reports": sorted(map(str, (base / "theory").glob("*/REPORT.md")))}


def reproduce(args: list[str], root: Path | None) -> dict[str, Any]:
    """Run experiments, all or one, and publish their tables: jaxrl reproduce [EXPERIMENT [PRESET]].

    PRESET is `quick` where it is not named. A run with diverged members is published too, and does not keep
    the others from running.
    """
    from jaxrl.report import tables

    if {"-h", "--help"} & set(args):
        _no_more(["--help"], "reproduce [EXPERIMENT [PRESET]]", reproduce)
    if len(args) > 2 or any(a.startswith("-") for a in args):
        raise UsageError("reproduce: expected at most EXPERIMENT and PRESET")
    base = execution.find_root(root)
    names = [catalogue.lookup(base, args[0]).name] if args else [e.name for e in catalogue.find(base)]
    written, diverged = [], []
    for name in names:
        module, config, folder = api.begin(name, args[1] if len(args) > 1 else "quick", root=base)
        try:
            execution.execute(module, config, folder)
        except NumericalFailure as error:  # everything was saved: the table says how many seeds are missing
            diverged.append(str(error))
        written += [folder.path, *tables.publish(folder, module, base)]
    document = say_files(written)
    if diverged:
        raise NumericalFailure("\n".join(diverged))
    return document


def doctor(args: list[str], root: Path | None) -> dict[str, Any]:
    """Show what a bug report should say about this machine."""
    from jaxrl.cli import doctor as machine_facts

    _no_more(args, "doctor", doctor)
    with contextlib.suppress(UsageError):
        root = execution.find_root(root)
    machine.configure_jax(root)
    facts = machine_facts.examine(root)
    for name, value in facts.items():
        print(f"{name:20} {value}")
    return facts


def _no_more(args: list[str], usage: str, function: Any) -> None:
    """Shows the help of a command without options where it is asked for; refuses anything else."""
    if args in (["-h"], ["--help"]):
        print(f"usage: jaxrl {usage}\n\n{function.__doc__}")
        raise SystemExit(0)
    if args:
        raise UsageError(f"{usage}: takes no further arguments, got '{args[0]}'")
