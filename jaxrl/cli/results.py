"""Commands that read finished runs: report, compare, export, verify, figure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxrl.cli import api, execution, help, options
from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import config_to_dict, differences
from jaxrl.run.folder import RunFolder, atomic_write


def report(args: list[str], root: Path | None) -> dict[str, Any]:
    """Write the page of runs, the index of all figures, or published tables."""
    from jaxrl.report import pages, tables

    chosen = help.parse_options("report", args, options.ReportOptions)
    if not chosen.runs and not chosen.index:
        raise UsageError("report: name a run folder, or ask for --index")
    for name, value in (("--page", chosen.page), ("--out", chosen.out)):
        if value is not None and not chosen.index:
            raise UsageError(
                f"report: {name} is about the index; add --index, a run's page lies in its folder"
            )
    if chosen.publish and not chosen.runs:
        raise UsageError("report: --publish takes the folders of the runs whose tables are to be written")
    base = execution.find_root(root, *chosen.runs[:1])
    written = []
    shown = [(f, catalogue.load(base, f.experiment)) for f in map(RunFolder.open, chosen.runs)]
    if chosen.publish:
        require_one_checkout(root, base)
        for folder, module in shown:
            require_preset(module, folder)
    for folder, module in shown:
        written.append(pages.write(folder, module))
        if chosen.publish:
            written += tables.publish(folder, module, base)
    if chosen.index:
        page = base / "out" / "index.html" if chosen.page is None else chosen.page.resolve()
        with execution.writing("--page"):
            written.append(pages.write_index(page, execution.runs_folder(base, chosen.out), base))
    return say_files(written)


def compare(args: list[str], root: Path | None) -> dict[str, Any]:
    """Compare runs: jaxrl compare RUN RUN ... writes a page and JSON."""
    from jaxrl.report import compare as comparison

    chosen = help.parse_options("compare", args, options.CompareOptions)
    base = execution.find_root(root, *chosen.runs[:1])
    folders = [RunFolder.open(path) for path in chosen.runs]
    runs = comparison.read([(f, catalogue.load(base, f.experiment)) for f in folders])
    target = base / "out" / "compare.html" if chosen.page is None else chosen.page.resolve()
    found = comparison.document(runs)
    with execution.writing("--page"):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, comparison.markup(runs))
        atomic_write(target.with_suffix(".json"), json.dumps(found, indent=2, allow_nan=False) + "\n")
    for row in found["improvement"]:
        shown = "-" if row["probability"] is None else f"{row['probability']:.3f}"
        print(f"P({row['run']} better than {row['than']}) {shown}  {row['label']}")
    if not found["improvement"]:
        print(comparison.nothing_compared(runs))
    return {**found, **say_files([target, target.with_suffix(".json")])}


def require_one_checkout(root: Path | None, base: Path) -> None:
    """Raises `UsageError` where a run lies in another checkout than the working directory."""
    try:
        here = base if root is not None else catalogue.find_root()
    except UsageError:  # the working directory lies in none
        return
    if here != base:
        raise UsageError(
            f"publish: the run lies in {base} and the working directory in {here}; name the one whose table"
            " is to be written with --root DIR"
        )


def require_preset(module: ModuleType, folder: RunFolder) -> None:
    """Raises `UsageError` where the configuration of a run is not the preset whose name it bears."""
    preset = module.PRESETS.get(folder.preset)
    if preset is None:
        raise UsageError(f"publish: {folder.path} was not made from a preset; `jaxrl run` one of its presets")
    changed = differences(config_to_dict(preset), folder.config)
    if changed:
        raise UsageError(
            f"publish: {folder.path} differs from the preset {folder.preset} ({'; '.join(changed)}); run the"
            " preset as it is, or name the changed one in PRESETS"
        )


def export(args: list[str], root: Path | None) -> dict[str, Any]:
    """Write metrics as CSV or Parquet, or the trained policy."""
    chosen = help.parse_options("export", args, options.ExportOptions)
    return say_files(
        api.export(
            chosen.run, chosen.to, member=chosen.member, stage=chosen.stage, dest=chosen.dest, root=root
        )
    )


def verify(args: list[str], root: Path | None) -> dict[str, Any]:
    """Check a run: hashes, result against checkpoint, bits of a replay."""
    from jaxrl.cli import verify as checks

    facts = api.verify(help.parse_options("verify", args, options.RunPath).run, root=root)
    line = checks.sentence(facts)
    print(f"\033[32m{line}\033[0m" if sys.stdout.isatty() else line)
    return facts


def figure(args: list[str], root: Path | None) -> dict[str, Any]:
    """Draw the figures of a run again from its result."""
    chosen = help.parse_options("figure", args, options.FigureOptions)
    return say_files(api.figure(chosen.run, dest=chosen.dest, root=root))


def say_files(paths: list[Path]) -> dict[str, Any]:
    """Prints the files that were written; returns the document that names them."""
    for path in paths:
        print(path)
    return {"files": [str(p) for p in paths]}
