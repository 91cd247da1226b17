"""Grids of a sweep: every combination of values, checked before training, and their labels."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.run.config import replace_at

Grid = Mapping[str, Sequence[Any]]  # dotted path of a field -> its values


def expand(config: Any, grid: Grid) -> list[Any]:
    """Every combination of the grid's values put into `config`, the last path varying fastest.

    A `__post_init__` checks a grid with `check_grid` instead, because every point is made by it.

    Raises UsageError for a path that does not exist, with the nearest one, and for values that are given
    twice.
    """
    check_values(grid)
    points = itertools.product(*grid.values())
    return [replace_at(config, dict(zip(grid, point, strict=True))) for point in points]


def check_grid(config: Any, grid: Grid, member: Callable[[Any], Any]) -> None:
    """Checks that every field of a grid changes what its rows train; for `__post_init__` of a `Config`.

    member: what a configuration without a grid trains, its static part and its hyper-parameters. Raises
    UsageError for a field without an effect, for values that are equal in float32, and as `expand`.
    """
    check_values(grid)
    if not grid:
        return
    base = dataclasses.replace(config, grid={})
    for path, values in grid.items():
        close = _first_equal([_frozen(value) for value in values])
        if close is not None:
            first, second = (values[i] for i in close)
            raise UsageError(f"grid: {path}: {first!r} and {second!r} are equal in float32")
        points = [replace_at(base, {path: value}) for value in values]
        if len(values) == 1 and _frozen(_value_at(base, path)) != _frozen(values[0]):
            points.append(base)
        if _first_equal([_frozen(member(point)) for point in points]) is not None:
            raise UsageError(f"grid: {path}: changes nothing that is trained; set it for all rows, --{path}")


def check_values(grid: Grid) -> None:
    """Raise UsageError where a field of a grid has no list of values, no value, or one value twice."""
    for path, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise UsageError(f"grid: {path}: must be a list of values, got {values!r}")
        if len(values) == 0:
            raise UsageError(f"grid: {path} has no values")
        same = _first_equal(list(values))
        if same is not None:
            raise UsageError(f"grid: {path}: {values[same[0]]!r} is given twice")


def labels(grid: Grid) -> list[str]:
    """Names of the points of `expand`, such as `lr 0.001, gamma 0.9`; `default` where nothing varies.

    Values have as many digits as they need to be told apart, paths as many parts.
    """
    names = _distinct([[".".join(p.split(".")[-n:]) for n in range(1, 9)] for p in grid])
    columns = [
        [f"{name} {text}" for text in texts_apart(values)]
        for name, values in zip(names, grid.values(), strict=True)
    ]
    return [", ".join(point) or "default" for point in itertools.product(*columns)]


def texts_apart(values: Sequence[Any]) -> list[str]:
    """The shortest texts of values that tell different ones apart."""
    distinct = list(dict.fromkeys(map(repr, values)))
    examples = {repr(v): v for v in values}
    texts = _distinct([_texts(examples[r]) for r in distinct])
    found = dict(zip(distinct, texts, strict=True))
    return [found[repr(v)] for v in values]


def _texts(value: Any) -> list[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return [f"{value:g}", f"{value:.9g}", repr(value)] if number else [str(value), repr(value)]


def _distinct(choices: list[list[str]]) -> list[str]:
    """The first text of every list, or a later one where first ones are equal."""
    for level in range(max((len(c) for c in choices), default=1)):
        texts = [c[min(level, len(c) - 1)] for c in choices]
        if len(set(texts)) == len(texts):
            break
    return texts if choices else []


def _first_equal(values: list[Any]) -> tuple[int, int] | None:
    return next((p for p in itertools.combinations(range(len(values)), 2) if _equal(values, p)), None)


def _equal(values: list[Any], pair: tuple[int, int]) -> bool:
    first, second = values[pair[0]], values[pair[1]]
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def _frozen(member: Any) -> tuple[Any, ...]:
    """What a member trains as a value that can be compared: numbers as float32, arrays as their bytes."""
    return tuple(_leaves(member))


def _leaves(value: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for field in dataclasses.fields(value):
            yield from _leaves(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        yield len(value)
        for entry in value:
            yield from _leaves(entry)
    elif isinstance(value, float):
        yield np.float32(value).tobytes()
    elif hasattr(value, "__array__"):
        x = np.asarray(value)
        yield x.shape, np.asarray(x, np.float32).tobytes()
    else:
        yield value


def _value_at(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = getattr(config, name)
    return config
