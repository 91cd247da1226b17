"""Fields of nested configurations by dotted path: looked up, replaced, checked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from jaxrl.core.errors import JaxrlError, UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import replace_at


def named_preset(module: ModuleType, experiment: str, preset: str) -> Any:
    """The configuration of that name; `UsageError` with the nearest ones."""
    if preset not in module.PRESETS:
        raise UsageError(catalogue.unknown(f"preset of {experiment}", preset, module.PRESETS))
    return module.PRESETS[preset]


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a nested frozen dataclass with the fields at dotted paths replaced.

    A field that the configuration's grid sweeps is then no longer swept. Raises `UsageError` for an unknown
    path, with the nearest one, for a value that the field's annotation or the configuration refuses, and for
    a field that is both set and swept by `values`.
    """
    from jaxrl.core.fields import checked

    for path, value in values.items():
        field(config, path)
        *outer, last = path.split(".")
        record = functools.reduce(getattr, outer, config)
        scalar = value.item() if getattr(value, "shape", None) == () else value
        allowed = checked(type(record), last, scalar)
        try:
            config = replace_at(config, {path: allowed})
        except JaxrlError:
            raise
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from error
    return without_axes(config, values)


def without_axes(config: Any, paths: Iterable[str]) -> Any:
    """The configuration without the axes of its grid that set the fields at `paths`, or fields below them.

    Raises `UsageError` where `grid` itself is one of the paths and has such an axis.
    """
    grid, paths = dict(getattr(config, "grid", None) or {}), set(paths)
    clash = {axis: path for axis in grid for path in paths if f"{axis}.".startswith(f"{path}.")}
    for axis, path in clash.items():
        if "grid" in paths:
            raise UsageError(f"{path}: is set, and swept by the grid ({axis}); give one of the two")
    if not clash:
        return config
    return dataclasses.replace(config, grid={axis: v for axis, v in grid.items() if axis not in clash})


def field(config: Any, path: str) -> Any:
    """The value at a dotted path; `UsageError` with the nearest path where there is none."""
    known = dict(field_paths(config))
    if path not in known:
        raise UsageError(catalogue.unknown("field", path, known))
    return known[path]


def field_paths(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`(dotted path, value)` of every field of a nested dataclass, inner nodes included."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        yield prefix + f.name, value
        if dataclasses.is_dataclass(value):
            yield from field_paths(value, f"{prefix}{f.name}.")
