"""Checks of configurations by their annotations: types, choices and ranges, made once, at construction.

A frozen `Config` calls `check_fields(self)` first in `__post_init__`. The fields of a `Hyper` are leaves that
may be traced, so they are checked by `check_numbers`, on the host and before anything is compiled: where a
record that holds them is made, and where training begins.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import numpy as np
from jax.core import Tracer

from jaxrl.core.errors import UsageError


@dataclass(frozen=True)
class Range:
    """An interval in which a number, or every entry of an array, must lie; metadata of `typing.Annotated`.

    low, high: its ends, None for no bound. open_low, open_high: whether an end itself is excluded.
    """

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: Any) -> bool:
        """Whether every entry of `value` lies inside; False for NaN."""
        x = _as_numbers(value)
        above = True if self.low is None else (x > self.low if self.open_low else x >= self.low)
        below = True if self.high is None else (x < self.high if self.open_high else x <= self.high)
        return bool(np.all(above & below & ~np.isnan(x)))

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
            return f"in {left}{_plain(self.low)}, {_plain(self.high)}{right}"
        if self.low is not None:
            return f"{'>' if self.open_low else '>='} {_plain(self.low)}"
        return "a number" if self.high is None else f"{'<' if self.open_high else '<='} {_plain(self.high)}"


Size = Annotated[int, Range(1)]
"""A number of things of which there must be one."""
Count = Annotated[int, Range(0)]
"""A number of things, 0 for none."""
Seed = Annotated[int, Range(0, 2**32, open_high=True)]
"""A root seed, in [0, 2^32)."""
Finite = Annotated[float, Range(-np.inf, np.inf, open_low=True, open_high=True)]
"""A leaf of a `Hyper`: any finite number."""
NonNegative = Annotated[float, Range(0, np.inf, open_high=True)]
"""A leaf of a `Hyper`: finite and >= 0."""
Positive = Annotated[float, Range(0, np.inf, open_low=True, open_high=True)]
"""A leaf of a `Hyper`: finite and > 0."""
Share = Annotated[float, Range(0, 1)]
"""A leaf of a `Hyper`: in [0, 1]."""
Discount = Annotated[float, Range(0, 1, open_high=True)]
"""A leaf of a `Hyper`: in [0, 1), where values of endless episodes must exist."""
Bound = Annotated[float, Range(0, np.inf)]
"""A leaf of a `Hyper`: an upper bound >= 0, infinite for none."""
Weights = Annotated[tuple[float, ...], Range(-np.inf, np.inf, open_low=True, open_high=True)]
"""A leaf of a `Hyper`: one finite weight per component of a reward, float[m]."""


def check_fields(record: Any) -> None:
    """Checks every field of a frozen dataclass against its annotation; to be called in `__post_init__`.

    Lists become tuples and whole numbers of float fields floats; `Literal` names the choices, `Range` bounds.
    The numbers of a nested `Hyper` are checked as by `check_numbers`.

    They are checked in float32, too, unless `record.float64` says that they are computed with in float64.

    Raises `UsageError` that names the class and the field.
    """
    hints = _hints(type(record))
    float64 = jax.config.read("jax_enable_x64") or getattr(record, "float64", False) is True
    for field in dataclasses.fields(record):
        name = f"{type(record).__name__}.{field.name}"
        value = getattr(record, field.name)
        checked = _checked(value, hints[field.name], name)
        if checked is not value:
            object.__setattr__(record, field.name, checked)
        if _has_leaves(checked):
            _check_ranges(checked, name, float64)


def check_value(name: str, value: Any, hint: Any) -> Any:
    """One argument `name` of a function, checked and converted as a field annotated with `hint` is.

    Raises `UsageError` that names the argument.
    """
    return _checked(value, hint, name)


def check_leaf(name: str, value: Any, hint: Any) -> None:
    """One argument that a program may be traced over, a number or an array, against the range of `hint`.

    Tracers, which have no value yet, pass.

    Raises `UsageError` that names the argument.
    """
    if not isinstance(value, Tracer):
        _leaf(name, value, hint, float64=True)


def check_numbers(hyper: Any, prefix: str | None = None) -> None:
    """Checks the leaves of a `Hyper`, numbers or arrays of any shape, against their annotated ranges.

    Leaves without a value on the host (tracers, shapes) and fields without a `Range` pass. A number must lie
    inside after it was rounded to float32, too, unless float64 is switched on.

    Raises `UsageError` that names the field, `prefix` (default: the class) before it.
    """
    prefix = type(hyper).__name__ if prefix is None else prefix
    _check_ranges(hyper, prefix, jax.config.read("jax_enable_x64"))


def _check_ranges(hyper: Any, prefix: str, float64: bool) -> None:
    for name, hint in _hints(type(hyper)).items():
        value = getattr(hyper, name)
        if not isinstance(value, Tracer):
            _leaf(f"{prefix}.{name}", value, hint, float64)


def _leaf(name: str, value: Any, hint: Any, float64: bool) -> None:
    bounds, optional = _range(hint)
    if bounds is None or (value is None and optional):
        return
    listed = isinstance(value, list | tuple) and _is_tuple(hint)
    if not listed and not isinstance(value, bool | int | float | np.number | np.ndarray | jax.Array):
        raise UsageError(f"{name}: must be a number, got {value!r}")
    if not bounds.holds(value):
        raise UsageError(f"{name}: must be {range_text(bounds)}, got {_shown(value)}")
    if not float64 and not isinstance(value, jax.Array):
        with np.errstate(over="ignore"):
            rounded = _as_numbers(value).astype(np.float32)
        if not bounds.holds(rounded):
            was = f"{_shown(value)}, in float32 {_shown(rounded.tolist())}"
            raise UsageError(f"{name}: must be {range_text(bounds)}, got {was}")


def _is_tuple(hint: Any) -> bool:
    """Whether one option of an annotation is a tuple."""
    inner = (typing.get_args(o)[0] if typing.get_origin(o) is Annotated else o for o in _options(hint))
    return any(typing.get_origin(option) is tuple for option in inner)


def _as_numbers(value: Any) -> np.ndarray:
    """An array of numbers; integers that no type of numpy holds are floats, infinite where they overflow."""
    x = np.asarray(value)
    return np.vectorize(_as_float, otypes=[float])(x) if x.dtype == object else x


def _as_float(x: Any) -> float:
    try:
        return float(x)
    except OverflowError:
        return np.inf if x > 0 else -np.inf


def checked(cls: type, field: str, value: Any) -> Any:
    """`value` as the annotation of `cls.field` allows it, converted as by `check_fields`.

    Raises `UsageError` that names the class and the field.
    """
    return _checked(value, _hints(cls)[field], f"{cls.__name__}.{field}")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _options(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(option for part in typing.get_args(hint) for option in _options(part))
    return (hint,)


def _range(hint: Any) -> tuple[Range | None, bool]:
    """The `Range` of an annotation, and whether None is allowed beside it."""
    options = _options(hint)
    found = (m for o in options for m in getattr(o, "__metadata__", ()) if isinstance(m, Range))
    return next(found, None), type(None) in options


def _checked(value: Any, hint: Any, name: str) -> Any:
    problems = []
    for option in _options(hint):
        try:
            return _one(value, option, name)
        except UsageError as error:
            problems.append(
                str(error).removeprefix(f"{name}: must be ").rpartition(", got ")[0] or str(error)
            )
    if len(problems) == 1:
        return _one(value, hint, name)
    raise UsageError(f"{name}: must be {' or '.join(problems)}, got {_shown(value)}")


def _one(value: Any, hint: Any, name: str) -> Any:
    """`value` as one option of an annotation, converted without loss; `UsageError` where it is none."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner = _checked(value, arguments[0], name)
        for bounds in (m for m in arguments[1:] if isinstance(m, Range)):
            _within(inner, bounds, name)
        return inner
    if origin is Literal:
        _require(
            any(type(value) is type(c) and value == c for c in arguments), name, _choices(arguments), value
        )
        return value
    if hint is None or hint is type(None):
        _require(value is None, name, "None", value)
        return value
    if hint in (bool, str):
        _require(isinstance(value, hint), name, "True or False" if hint is bool else "text", value)
        return value
    if hint in (int, float):
        return _number(value, hint, name)
    if origin is tuple:
        return _tuple(value, arguments, name)
    if origin is dict:
        _require(isinstance(value, dict), name, "a dict", value)
        return {key: _checked(entry, arguments[1], f"{name}[{key!r}]") for key, entry in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        _require(isinstance(value, hint), name, f"a {hint.__qualname__}", value)
        if _has_leaves(value):
            _check_ranges(value, name, float64=True)
    return value


def _has_leaves(value: Any) -> bool:
    """Whether a value is a record of numbers that may be traced, such as a `Hyper`."""
    if isinstance(value, type) or not dataclasses.is_dataclass(value):
        return False
    return not value.__dataclass_params__.frozen or hasattr(value, "replace")  # type: ignore[attr-defined]


def _number(value: Any, kind: type, name: str) -> Any:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if kind is int:
        _require(whole, name, "an int", value)
        return int(value)
    _require(whole or isinstance(value, float | np.floating), name, "a float", value)
    number = _as_float(value)
    _require(not np.isnan(number), name, "a float, not NaN", value)
    _require(not whole or np.isfinite(number), name, "a float", value)
    return number


def _tuple(value: Any, arguments: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    _require(isinstance(value, tuple | list), name, "a tuple", value)
    repeated = len(arguments) == 2 and arguments[1] is ...
    if not repeated:
        _require(len(value) == len(arguments), name, f"{len(arguments)} values", value)
    hints = (arguments[0],) * len(value) if repeated else arguments
    made = tuple(_checked(v, h, f"{name}[{i}]") for i, (v, h) in enumerate(zip(value, hints, strict=True)))
    return (
        value if isinstance(value, tuple) and all(a is b for a, b in zip(made, value, strict=True)) else made
    )


def _within(value: Any, bounds: Range, name: str) -> None:
    if isinstance(value, Tracer):
        return
    numbers = isinstance(value, bool | int | float | np.number | np.ndarray | jax.Array | tuple)
    _require(numbers and bounds.holds(value), name, range_text(bounds), value)


def _require(fine: bool, name: str, wanted: str, value: Any) -> None:
    if not fine:
        raise UsageError(f"{name}: must be {wanted}, got {_shown(value)}")


def range_text(bounds: Range) -> str:
    """The words of a `Range` after "must be": `in [0, 1)`, `> 0 and finite`."""
    if bounds.high == np.inf and bounds.open_high:
        ends = dataclasses.replace(bounds, low=None if bounds.low == -np.inf else bounds.low, high=None)
        return "finite" if ends.low is None else f"{ends} and finite"
    return str(bounds)


def _choices(arguments: tuple[Any, ...]) -> str:
    names = ", ".join(map(repr, arguments))
    return f"one of {names}" if len(arguments) > 1 else names


def _plain(x: float) -> str:
    return f"{x:g}" if float(f"{x:g}") == x else str(x)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
