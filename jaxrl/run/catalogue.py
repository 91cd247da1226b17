"""Search for experiments by name, below the nearest parent folder that holds `experiments/`.

`experiments/<family>/<name>.py`, or a package of that name, is the experiment `<family>/<name>`. `find` reads
docstrings and preset names from the source text, so that listing imports nothing; `load` imports one.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from jaxrl.core.errors import JaxrlError, MissingExtra, UsageError


@dataclass(frozen=True)
class Experiment:
    """An experiment as its source text shows it: `<family>/<name>`, file, first docstring line, presets."""

    name: str
    path: Path
    title: str
    presets: tuple[str, ...]


def find_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: the working directory) that holds `experiments/`."""
    start = Path.cwd() if start is None else Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "experiments").is_dir():
            return folder
    raise UsageError(f"root: no folder 'experiments' at or above {start}; name its parent with --root DIR")


def find(root: Path) -> list[Experiment]:
    """Every experiment below `root`, by name: the files that assign `PRESETS`."""
    folder = root / "experiments"
    files = sorted([*folder.glob("*/*.py"), *folder.glob("*/*/__init__.py")])
    return [e for path in files if (e := _read(folder, path)) is not None]


def lookup(root: Path, name: str) -> Experiment:
    """The experiment called `name`; an unknown name raises `UsageError` with the nearest ones."""
    folder = root / "experiments"
    if re.fullmatch(r"\w+/\w+", name):  # no other file needs to be read
        for path in (folder / f"{name}.py", folder / name / "__init__.py"):
            found = _read(folder, path) if path.is_file() else None
            if found is not None:
                return found
    known = [e.name for e in find(root)]
    raise UsageError(unknown("experiment", name, known) + "; `jaxrl list` shows all")


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """`unknown <kind> '<name>'` and what was probably meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    last = name.rsplit("/", 1)[-1].rsplit(".", 1)[-1]
    near += [k for k in known if last and last in k and k not in near][: 3 - len(near)]
    hint = f"; nearest: {', '.join(near)}" if near else f"; known: {', '.join(known) or 'none'}"
    return f"unknown {kind} '{name}'{hint}"


def load(root: Path, name: str) -> ModuleType:
    """Imports the experiment: a module with `Config`, `PRESETS`, `run(config, folder)` and `figure(folder)`.

    It may also offer `scores(result)` (`jaxrl.report.tables`) and `estimate(config)` (`jaxrl.cli.plan`).
    Raises `UsageError` or `MissingExtra`, which name file and line, where it cannot be imported.
    It is imported from its file, so that `experiments` of another root on the path cannot stand in for it.
    """
    path = lookup(root, name).path.resolve()
    module_name = "experiments." + name.replace("/", ".")
    module = sys.modules.get(module_name)
    if module is None or Path(module.__file__ or "").resolve() != path:
        on_path(root)
        package = [str(path.parent)] if path.name == "__init__.py" else None
        spec = importlib.util.spec_from_file_location(module_name, path, submodule_search_locations=package)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path}: is no Python file")
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            if isinstance(error, JaxrlError):
                raise
            kind = MissingExtra if isinstance(error, ModuleNotFoundError) else UsageError
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}, line {frame.lineno}"
            raise kind(f"{path}: cannot be imported ({type(error).__name__}: {error}; {where})") from error
    missing = [f for f in ("Config", "PRESETS", "run", "figure") if not hasattr(module, f)]
    if missing:
        raise UsageError(f"{path}: an experiment defines {', '.join(missing)} as well")
    return module


def on_path(root: Path) -> None:
    """Makes `theory` and what else lies beside `experiments` importable."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def _read(folder: Path, path: Path) -> Experiment | None:
    relative = path.parent if path.name == "__init__.py" else path.with_suffix("")
    name = relative.relative_to(folder).as_posix()
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        return Experiment(name, path, f"cannot be read: line {error.lineno}: {error.msg}", ())
    except (ValueError, RecursionError, OSError) as error:  # no text, or text that no parser ends with
        return Experiment(name, path, f"cannot be read: {error}", ())
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(
            isinstance(t, ast.Name) and t.id == "PRESETS" for t in targets
        ):
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            constants = (k.value for k in keys if isinstance(k, ast.Constant))
            presets = tuple(k for k in constants if isinstance(k, str))
            title = (ast.get_docstring(tree) or "").strip().splitlines()
            return Experiment(name, path, title[0] if title else "", presets)
    return None
