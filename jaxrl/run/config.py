"""Conversion of configurations, nested frozen dataclasses, to JSON and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
import typing
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError, nearest

PLAIN = (bool, int, float, str, type(None))


def config_to_dict(config: Any) -> dict[str, Any]:
    """A (nested) frozen dataclass as JSON values; tuples become lists.

    A field that may hold one of several dataclasses carries the entry "type". UsageError names a field that
    has no JSON form.
    """
    return _encode(config, type(config), "config")


def config_from_dict(cls: type, values: dict[str, Any]) -> Any:
    """Inverse of `config_to_dict`; UsageError names an unknown or missing field and the nearest one."""
    try:
        return _decode(values, cls, "config")
    except RecursionError as error:
        raise UsageError("config: is nested too deeply") from error


def config_hash(config: Any) -> str:
    """SHA-256 (hex) of the configuration, independent of the order of its fields.

    Takes a dataclass or what `config_to_dict` made of it.
    """
    values = config if isinstance(config, dict) else config_to_dict(config)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def replace_at(config: Any, values: typing.Mapping[str, Any]) -> Any:
    """A copy of a nested dataclass with the fields at dotted paths replaced.

    Whole numbers may stand for floats. UsageError for a path that does not exist, with the nearest name.
    """
    for path, value in values.items():
        config = _replace_one(config, path.split("."), value, path)
    return config


def differences(old: typing.Mapping[str, Any], new: typing.Mapping[str, Any], prefix: str = "") -> list[str]:
    """`path: old -> new` of every entry in which two nested records of JSON values differ."""
    found = []
    for name in sorted({*old, *new}):
        a, b = old.get(name, "(absent)"), new.get(name, "(absent)")
        if isinstance(a, typing.Mapping) and isinstance(b, typing.Mapping):
            found += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            found.append(f"{prefix}{name}: {json.dumps(a)} -> {json.dumps(b)}")
    return found


def _replace_one(config: Any, parts: list[str], value: Any, path: str) -> Any:
    names = list(getattr(config, "__dataclass_fields__", ()))
    if parts[0] not in names:
        hint = nearest(parts[0], names) if names else f"{type(config).__name__} has no fields"
        raise UsageError(f"{path}: no field {parts[0]!r}; {hint}")
    inner = getattr(config, parts[0])
    if len(parts) > 1:
        value = _replace_one(inner, parts[1:], value, path)
    elif isinstance(inner, float) and type(value) is int:
        value = float(value)
    return dataclasses.replace(config, **{parts[0]: value})


def _encode(value: Any, declared: Any, path: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        out = {
            f.name: _encode(getattr(value, f.name), hints[f.name], f"{path}.{f.name}")
            for f in dataclasses.fields(value)
        }
        return out if declared is type(value) else {"type": type(value).__name__, **out}
    if isinstance(value, dict):
        inner = (typing.get_args(declared) or (Any, Any))[1]
        return {str(k): _encode(v, inner, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, tuple | list):
        each = _element_types(declared, len(value), path)
        return [_encode(v, t, f"{path}[{i}]") for i, (v, t) in enumerate(zip(value, each, strict=True))]
    if getattr(value, "shape", None) == ():
        value = np.asarray(value).item()
    if isinstance(value, int) and not isinstance(value, bool) and _is_float(declared):
        value = float(value)  # 1 and 1.0 are one configuration and one hash
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{path}: {value} is not finite; use None for an absent limit")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(
        f"{path}: {type(value).__name__} has no JSON form; use numbers, text, tuples, dataclasses"
    )


def _decode(value: Any, declared: Any, path: str) -> Any:
    options = _options(declared)
    if not any(_has_form(value, option) for option in options):
        names = " or ".join(dict.fromkeys(_form(o) for o in options))
        raise UsageError(f"{path}: expects {names}, got {_shown(value)}")
    classes = [c for c in options if dataclasses.is_dataclass(c)]
    if isinstance(value, dict) and classes:
        return _decode_dataclass(value, classes, path)
    if isinstance(value, dict):
        inner = next((typing.get_args(o)[1] for o in options if typing.get_origin(o) is dict), Any)
        return {k: _decode(v, inner, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        each = _element_types(declared, len(value), path)
        return tuple(_decode(v, t, f"{path}[{i}]") for i, (v, t) in enumerate(zip(value, each, strict=True)))
    return float(value) if type(value) is int and _is_float(declared) else value


def _has_form(value: Any, option: Any) -> bool:
    """Whether a JSON value has the form of one option of an annotation."""
    origin = typing.get_origin(option) or option
    if origin is dict or dataclasses.is_dataclass(origin):
        return isinstance(value, dict)
    if origin in (tuple, list):
        return isinstance(value, list)
    if origin in PLAIN:
        return type(value) is origin or (origin is float and type(value) is int)
    return True


def _form(option: Any) -> str:
    origin = typing.get_origin(option) or option
    if origin is dict or dataclasses.is_dataclass(origin):
        return "an object"
    if origin in (tuple, list):
        return "a list"
    return "None" if origin is type(None) else getattr(origin, "__name__", str(origin))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _decode_dataclass(value: dict[str, Any], classes: list[Any], path: str) -> Any:
    value = dict(value)
    tag = value.pop("type", classes[0].__name__)
    cls = next((c for c in classes if c.__name__ == tag), None)
    if cls is None:
        near = nearest(str(tag), [c.__name__ for c in classes])
        raise UsageError(f"{path}.type: {_shown(tag)} is unknown; {near}")
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    for name in value:
        if name not in names:
            raise UsageError(f"{path}.{name}: no such field; {nearest(name, names)}")
    for name in names:
        if name not in value:
            raise UsageError(f"{path}.{name}: missing; a stored configuration has every field")
    return cls(**{n: _decode(value[n], hints[n], f"{path}.{n}") for n in names})


def _element_types(declared: Any, n: int, path: str) -> list[Any]:
    inner = next(
        (typing.get_args(o) for o in _options(declared) if typing.get_origin(o) is tuple), (Any, ...)
    )
    each = list(inner[:1]) * n if inner[-1] is ... else list(inner)
    if len(each) != n:
        raise UsageError(f"{path}: expects {len(each)} values, got {n}")
    return each


def _is_float(declared: Any) -> bool:
    options = _options(declared)
    return float in options and int not in options


def _options(declared: Any) -> list[Any]:
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return [o for part in typing.get_args(declared) for o in _options(part)]
    if typing.get_origin(declared) is typing.Annotated:
        return _options(typing.get_args(declared)[0])
    if typing.get_origin(declared) is typing.Literal:
        return list({type(v) for v in typing.get_args(declared)})
    return [declared]
