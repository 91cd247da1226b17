"""What is about to be run: experiment, configuration and options, read from a command line or a file."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jaxrl.cli import api, options
from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import config_from_dict, config_hash, config_to_dict


@dataclass
class Plan:
    """A configuration that is about to be run.

    args: the options that were given; file: the sweep file they came with, if any.
    """

    root: Path
    experiment: str
    preset: str
    module: ModuleType
    config: Any
    chosen: Any
    args: list[str]
    file: Path | None = None


def read(
    verb: str, args: list[str], root: Path | None, options_type: type, fields: Mapping[str, Any] | None = None
) -> Plan:
    """`EXPERIMENT PRESET [--field value ...]` as a plan; names are checked before anything is imported.

    fields: JSON values by dotted path, which replace those of the preset before the options do.
    """
    base = api.find_root(root)
    experiment = catalogue.lookup(base, args[0])
    rest = list(args[1:])
    file = options.take_option(rest, "--config-file")
    named = rest.pop(0) if rest and not rest[0].startswith("-") else None
    presets = experiment.presets
    if named is not None and presets and named not in presets:
        raise UsageError(catalogue.unknown(f"preset of {experiment.name}", named, presets))
    if named is None and file is None and not {"-h", "--help"} & set(rest):
        raise UsageError(f"{verb} {experiment.name}: name a preset: {', '.join(presets)}")
    module = catalogue.load(base, experiment.name)
    if file is not None:
        config, preset = read_config(module, Path(file)), named or "file"
    else:
        preset = named or next(iter(module.PRESETS))
        config = api.named_preset(module, experiment.name, preset)
    config = options.valid(lambda: with_fields(config, fields or {}))
    title = f"{verb} {experiment.name} {preset if named or file else '|'.join(module.PRESETS)}"
    config, chosen = options.parse_config(title, rest, config, options_type, module.__doc__)
    return Plan(base, experiment.name, preset, module, config, chosen, rest)


def with_fields(config: Any, fields: Mapping[str, Any]) -> Any:
    """A configuration with the JSON values at dotted paths replaced; `UsageError` names an unknown path."""
    record = config_to_dict(config)
    for path, value in fields.items():
        api.field(config, path)
        *outer, last = path.split(".")
        functools.reduce(lambda node, name: node[name], outer, record)[last] = value
    return config_from_dict(type(config), record)


def read_config(module: ModuleType, path: Path) -> Any:
    """A configuration from the output of --print-config or a run's config.json."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"config-file: {path} is not readable as JSON ({error})") from error
    if not isinstance(values, dict):
        raise UsageError(f"config-file: {path} holds no object")
    return options.valid(lambda: config_from_dict(module.Config, values.get("config", values)))


def preview(plan: Plan) -> dict[str, Any]:
    """What --dry-run and --print-config print."""
    values = config_to_dict(plan.config)
    if plan.chosen.print_config:
        return values
    return {
        "experiment": plan.experiment,
        "preset": plan.preset,
        "config_hash": config_hash(plan.config),
        "estimate": estimate(plan.module, plan.config),
        "config": values,
    }


def estimate(module: ModuleType, config: Any) -> dict[str, Any]:
    """Members, compilations, and what the experiment's `estimate(config)` knows: env_steps, memory_mb.

    Numbers in `hyper` share a program; every other swept field needs one compilation per value.
    """
    points = static = 1
    for name, values in dict(getattr(config, "grid", None) or {}).items():
        points *= len(values)
        static *= 1 if name.startswith("hyper.") else len(values)
    known = {
        "members": points * getattr(config, "seeds", 1),
        "updates": getattr(config, "updates", None),
        "compilations": static,
        "env_steps": None,
        "memory_mb": None,
    }
    return {**known, **(module.estimate(config) if hasattr(module, "estimate") else {})}


def parse_grid(config: Any, texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """`FIELD=VALUE,VALUE,...` texts as a grid, each value read as the type of the field it replaces."""
    grid: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        if not equals or not values:
            raise UsageError(f"grid: expected FIELD=VALUE,VALUE,..., got '{text}'")
        current = api.field(config, path)
        convert = {bool: _read_bool, int: int, float: float, str: str}.get(type(current))
        if convert is None:
            raise UsageError(
                f"grid: {path} holds {current!r}; only numbers, texts and truth values are swept"
            )
        try:
            grid[path] = tuple(convert(v) for v in values.split(","))
        except ValueError as error:
            raise UsageError(f"grid: {path}: {error}") from error
        for value in grid[path]:
            api.override(config, {path: value})  # the configuration's own checks, before anything starts
    return grid


def grid_commands(plan: Plan) -> list[list[str]]:
    """One command per grid point, which runs that point alone with the same keys as inside the sweep."""
    names, columns = list(plan.config.grid), list(plan.config.grid.values())
    own = [a for a in plan.args if a not in ("--print", "--slurm")]
    source = [plan.experiment, plan.preset] if plan.file is None else [str(plan.file)]
    common = ["jaxrl", "sweep", *source, *own, "--root", str(plan.root)]
    return [
        [*common, *(x for name, v in zip(names, point, strict=True) for x in ("--grid", f"{name}={v}"))]
        for point in itertools.product(*columns)
    ]


class SweepFile(NamedTuple):
    """What a sweep file says: EXPERIMENT and PRESET, texts for `parse_grid`, other fields."""

    names: list[str]
    grid: list[str]
    fields: dict[str, Any]


def read_sweep_file(path: Path) -> SweepFile:
    """An object with experiment, preset, grid {field: [values]}, and further fields with their values."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [content.pop("experiment"), content.pop("preset")]
        grid = [f"{k}={','.join(map(str, v))}" for k, v in content.pop("grid").items()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{path}: a sweep file is an object with experiment, preset, grid {{field: [values]}} and"
            f" further fields ({type(error).__name__}: {error})"
        ) from error
    return SweepFile(names, grid, content)


def _read_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"expected true or false, got '{text}'")
    return text.lower() == "true"
