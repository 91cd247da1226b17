"""Configurations as options: every field with its docstring, its choices and its range, read by tyro."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from jaxrl.core.errors import UsageError

# without subcommands: a field that may hold one of several records keeps the preset's choice
STYLE = (tyro.conf.AvoidSubcommands,)
_WORDS = (bool, int, float, str, Path, type(None))  # what one word of a command line can say


def parse_config(
    title: str, args: list[str], config: Any, options_type: type, description: str
) -> tuple[Any, Any]:
    """Reads options over a configuration: `(configuration, options)`.

    The program ends with status 2 and the nearest options where `args` hold unknown ones, with 0 after
    --help. Raises `UsageError` for values that `__post_init__` refuses.
    """
    flat, unprefixed = tyro.conf.arg(name=""), tyro.conf.OmitArgPrefixes
    command = Annotated[options_type, unprefixed, tyro.conf.FlagCreatePairsOff]
    fields = [("config", Annotated[type(config), flat]), ("command", command)]
    both = dataclasses.make_dataclass("Arguments", fields, frozen=True)
    values = valid(
        lambda: tyro.cli(
            both,
            prog=f"jaxrl {title}",
            description=description.strip(),
            default=both(config, options_type()),
            args=args,
            config=STYLE,
            registry=_rules(config),
        )
    )
    return values.config, values.command


def parse_options(command: str, args: list[str], options_type: type, description: str = "") -> Any:
    """Reads the options of a command without a configuration; ends as `parse_config` does."""
    style = (*STYLE, tyro.conf.FlagCreatePairsOff)
    text = description or inspect.getdoc(options_type) or ""
    return valid(
        lambda: tyro.cli(options_type, prog=f"jaxrl {command}", description=text, args=args, config=style)
    )


def valid(make: typing.Callable[[], Any]) -> Any:
    """The value of `make()`; what a `__post_init__` refuses becomes a `UsageError`."""
    try:
        return make()
    except UsageError:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error


@functools.cache
def field_docs(cls: type) -> dict[str, str]:
    """The attribute docstrings of a dataclass, inherited ones included, by field."""
    found: dict[str, str] = {}
    for part in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        except (OSError, TypeError, SyntaxError):  # made at run time: it has no source
            continue
        body = getattr(tree.body[0], "body", [])
        for field, doc in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                value = getattr(doc.value, "value", None)
                if isinstance(value, str):
                    found[ast.unparse(field.target)] = " ".join(value.split())
    return found


def _rules(config: Any) -> ConstructorRegistry:
    rules, classes = ConstructorRegistry(), set(_classes(config))
    rules.struct_rule(lambda info: _record(info) if info.type in classes else None)
    return rules


def _classes(record: Any) -> Iterator[type]:
    yield type(record)
    for f in dataclasses.fields(record):
        value = getattr(record, f.name)
        if dataclasses.is_dataclass(value):
            yield from _classes(value)


def _record(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A record of a configuration, field by field; a field that no text can say keeps its value."""
    cls, default = info.type, info.default
    if not isinstance(default, cls):
        return None
    hints = typing.get_type_hints(cls, include_extras=True)
    docs = field_docs(cls)
    fields = []
    for f in dataclasses.fields(cls):
        value = getattr(default, f.name)
        kind: Any = _offered(hints[f.name], value)
        if f.init and kind is not None:
            text = _explained(docs.get(f.name, ""), hints[f.name])
            if value == ():
                kind = Annotated[kind, tyro.conf.arg(help_behavior_hint="(default: none)")]
            fields.append(StructFieldSpec(f.name, kind, value, text or None))
    return StructConstructorSpec(functools.partial(dataclasses.replace, default), tuple(fields))


def _explained(doc: str, hint: Any) -> str:
    """The docstring of a field, and its range where the docstring does not say it."""
    allowed = _range_text(hint)
    said = allowed.partition(" be ")[2].removesuffix(".").removesuffix(" and finite")
    return doc if said and said in doc else f"{doc} {allowed}".strip()


def _offered(hint: Any, value: Any) -> Any:
    """The type that the command line reads for a field that holds `value`; None where it offers nothing."""
    if dataclasses.is_dataclass(value):
        return type(value)
    if hint is Any:
        return type(value) if type(value) in (bool, int, float, str) else None
    options = tuple(o for o in _options(hint) if _readable(o))
    if not options or options == (type(None),):
        return None
    return typing.Union[options]  # noqa: UP007  # a union of a computed tuple


def _options(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) is Annotated:
        yield from _options(typing.get_args(hint)[0])
    elif typing.get_origin(hint) in (typing.Union, types.UnionType):
        for part in typing.get_args(hint):
            yield from _options(part)
    else:
        yield hint


def _readable(hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return all(a is ... or all(map(_readable, _options(a))) for a in arguments)
    return hint in _WORDS or origin is Literal


def _range_text(hint: Any) -> str:
    """The sentence that says which values are allowed, empty where the type says it all."""
    from jaxrl.core.fields import Range, range_text

    if typing.get_origin(hint) is Annotated:
        bounds = [m for m in typing.get_args(hint)[1:] if isinstance(m, Range)]
        if bounds:
            return f"Must be {range_text(bounds[0])}."
    for part in typing.get_args(hint):
        text = _range_text(part)
        if text:
            return text.replace("Must", "Every entry must") if typing.get_origin(hint) is tuple else text
    return ""
