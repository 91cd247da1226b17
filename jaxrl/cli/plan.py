"""Plans of runs: experiment, configuration and options, read from a command line or a file."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jaxrl.cli import execution, help, options, overrides
from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue, records
from jaxrl.run.config import config_from_dict, config_hash, config_to_dict
from jaxrl.run.grid import expand

MEMBER_BYTES = 1024


@dataclass
class Plan:
    """A configuration that is about to be run.

    source: the words that name it on a command line (experiment and preset, or a file); args: the options
    that were given after them.
    """

    root: Path
    experiment: str
    preset: str
    module: ModuleType
    config: Any
    chosen: Any
    source: list[str]
    args: list[str]


def read(command: str, args: list[str], root: Path | None, options_type: type) -> Plan:
    """Reads `EXPERIMENT PRESET [--field value ...]` or, for a sweep, `FILE.json [--field value ...]`.

    Names are checked before anything is imported. A field that is set, by an option or by the sweep file, is
    no longer swept by the preset's grid. Raises `UsageError` for whatever cannot be run.
    """
    base = execution.find_root(root)
    sweep_file = SweepFile([], [], {})
    source = []
    if command == "sweep" and args[0].endswith(".json"):
        sweep_file = read_sweep_file(Path(args[0]))
        source = [str(Path(args[0]).resolve())]
        args = [*sweep_file.names, *args[1:]]
    experiment = catalogue.lookup(base, args[0])
    rest = list(args[1:])
    file = options.take_option(rest, "--config-file")
    named = rest.pop(0) if rest and not rest[0].startswith("-") else None
    presets = experiment.presets
    if named is not None and presets and named not in presets:
        raise UsageError(catalogue.unknown(f"preset of {experiment.name}", named, presets))
    if named is None and file is None and not {"-h", "--help"} & set(rest):
        raise UsageError(f"{command} {experiment.name}: name a preset: {', '.join(presets)}")
    source = source or [experiment.name, *([named] if named else [])]
    module = catalogue.load(base, experiment.name)
    if file is not None:
        config, preset = read_config(module, Path(file)), named or "file"
        source += ["--config-file", str(Path(file).resolve())]
    else:
        preset = named or next(iter(module.PRESETS))
        config = overrides.named_preset(module, experiment.name, preset)
    config = help.valid(lambda: with_fields(config, sweep_file.fields))
    title = f"{command} {experiment.name} {preset if named or file else '|'.join(module.PRESETS)}"
    text = (
        f"{(module.__doc__ or '').strip()}\n\nThe defaults shown are those of {file or f'preset {preset}'}."
    )
    config, chosen = help.parse_config(title, rest, config, options_type, text)
    given = [*sweep_file.fields, *named_fields(rest, config)]
    grid = {**parse_grid(config, sweep_file.grid), **parse_grid(config, chosen.grid)}
    config = overrides.override(config, {path: overrides.field(config, path) for path in given})
    if grid:
        config = overrides.without_axes(overrides.override(config, {"grid": grid}), ["grid", *given])
    return Plan(base, experiment.name, preset, module, config, chosen, source, rest)


def named_fields(args: Sequence[str], config: Any) -> list[str]:
    """The dotted paths of the fields that the options `args` set, whatever their values."""
    paths = {path.replace("_", "-"): path for path, _ in overrides.field_paths(config)}
    names = [a[2:].partition("=")[0].replace("_", "-") for a in args if a.startswith("--")]
    negated = [".".join((*head, last.removeprefix("no-"))) for *head, last in (n.split(".") for n in names)]
    return [paths[n] for pair in zip(names, negated, strict=True) for n in dict.fromkeys(pair) if n in paths]


def with_fields(config: Any, fields: Mapping[str, Any]) -> Any:
    """A configuration with the JSON values at dotted paths replaced; `UsageError` names an unknown path."""
    record = config_to_dict(config)
    for path, value in fields.items():
        overrides.field(config, path)
        *outer, last = path.split(".")
        functools.reduce(lambda node, name: node[name], outer, record)[last] = value
    return config_from_dict(type(config), record)


def read_config(module: ModuleType, path: Path) -> Any:
    """A configuration from the output of --print-config or a run's config.json."""
    values = records.read_object(path, UsageError)
    return help.valid(lambda: config_from_dict(module.Config, values.get("config", values)))


def preview(plan: Plan) -> dict[str, Any]:
    """The document that --dry-run and --print-config print."""
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
    """Members, compilations, environment steps without evaluations and memory in MB, where they are known.

    Fields of `hyper` share a program; every other swept field needs one compilation per value. What does not
    follow from the configuration, the experiment's `estimate(config)` says, if there is one. Memory is that
    of the members: padding, where they do not fill all devices, holds further states and replay memories.
    """
    grid = dict(getattr(config, "grid", None) or {})
    points = math.prod(len(values) for values in grid.values())
    known = {
        "members": points * getattr(config, "seeds", 1),
        "updates": getattr(config, "updates", None),
        "compilations": math.prod(len(v) for name, v in grid.items() if not name.startswith("hyper.")),
        "memory_mb": None,
    }
    known |= module.estimate(config) if hasattr(module, "estimate") else {}
    return {"env_steps": _env_steps(config, grid, known["members"] // points), **known}


def _env_steps(config: Any, grid: Mapping[str, Any], members: int) -> int | None:
    """Environment steps of a run with that many members per grid point, from the sizes of its unrolls.

    None where an algorithm does not unroll environments.
    """
    algo = getattr(config, "algo", None)
    if not hasattr(algo, "n_envs") or not hasattr(algo, "length") or not hasattr(config, "updates"):
        return None
    sizes = [point.algo.n_envs * point.algo.length for point in expand(config, grid)]
    return members * config.updates * sum(sizes)


def refuse_beyond_memory(known: Mapping[str, Any]) -> None:
    """Raises `UsageError` where an estimate needs more memory than the machine has.

    A member takes at least `MEMBER_BYTES`: its keys, hyper-parameters, state, and its numbers in a log line.
    """
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = max(known["members"] * MEMBER_BYTES, (known["memory_mb"] or 0) * 1e6)
    if needed > total:
        raise UsageError(
            f"memory: {known['members']} members need at least {needed / 2**30:.3g} GiB and this machine has"
            f" {total / 2**30:.3g}; take fewer seeds or a smaller grid"
        )


def require_grid(config: Any) -> None:
    """Raises `UsageError` where an experiment cannot be swept, because its `Config` has no field `grid`."""
    if not hasattr(config, "grid"):
        raise UsageError(
            f"grid: {type(config).__qualname__} has no field 'grid', so that it cannot be swept;"
            " add one, and train what `jaxrl.run.grid.expand` makes of it"
        )


def parse_grid(config: Any, texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Reads `FIELD=VALUE,VALUE,...` texts as a grid, each value as the annotation of its field allows it.

    Texts of one field are joined. Raises `UsageError` that names the field.
    """
    if texts:
        require_grid(config)
    grid: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        if not equals or not values:
            raise UsageError(f"grid: expected FIELD=VALUE,VALUE,..., got '{text}'")
        current = overrides.field(config, path)
        if not isinstance(current, bool | int | float | str | None):
            raise UsageError(
                f"grid: {path} holds {current!r}; only numbers, texts and truth values are swept"
            )
        read = tuple(_grid_value(config, path, value) for value in values.split(","))
        grid[path] = grid.get(path, ()) + read
    return grid


def _grid_value(config: Any, path: str, text: str) -> Any:
    """One value of a grid; the configuration's own checks see it before anything starts."""
    from jaxrl.core.fields import checked

    *outer, last = path.split(".")
    cls = type(functools.reduce(getattr, outer, config))
    try:
        value = checked(cls, last, _read_word(text))
    except UsageError as error:
        try:
            value = checked(cls, last, text)  # a text that looks like a number
        except UsageError:
            raise UsageError(f"grid: {path}: {str(error).partition(': ')[2]}") from error
    overrides.override(config, {path: value})
    return value


def _read_word(text: str) -> Any:
    """A number, a truth value or None where the word is one, else the word."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def grid_commands(plan: Plan) -> list[list[str]]:
    """One command per grid point, which runs that point alone with the same keys as inside the sweep.

    Raises `UsageError` for a value that has no form on a command line.
    """
    names, columns = list(plan.config.grid), list(plan.config.grid.values())
    own = [a for a in plan.args if a not in ("--print", "--slurm")]
    options.take_options(own, "--grid")
    common = ["jaxrl", "sweep", *plan.source, *own, "--root", str(plan.root)]
    for name, value in ((n, v) for n, values in zip(names, columns, strict=True) for v in values):
        if not isinstance(value, bool | int | float | str | None) or "," in str(value):
            raise UsageError(f"grid: {name}: {value!r} cannot be given to a command; sweep without --print")
    return [
        [*common, *(x for name, v in zip(names, point, strict=True) for x in ("--grid", f"{name}={v}"))]
        for point in itertools.product(*columns)
    ]


class SweepFile(NamedTuple):
    """The contents of a sweep file: EXPERIMENT and PRESET, texts for `parse_grid`, other fields."""

    names: list[str]
    grid: list[str]
    fields: dict[str, Any]


def read_sweep_file(path: Path) -> SweepFile:
    """Reads an object with experiment, preset, grid {field: [values]}, and further fields with their values.

    Raises `UsageError` for a file of another form.
    """
    content = records.read_object(path, UsageError)
    records.check_fields(content, {"experiment": str, "preset": str, "grid": dict}, {}, str(path), UsageError)
    names, swept = [content.pop("experiment"), content.pop("preset")], content.pop("grid")
    for name, values in swept.items():
        if not isinstance(values, list):
            raise UsageError(f"{path}: grid.{name}: must be a list of values, got {values!r}")
    grid = [f"{k}={','.join(map(str, v))}" for k, v in swept.items()]
    return SweepFile(names, grid, content)
