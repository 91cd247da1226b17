"""The identity of a stage: everything that decides its result, as a record of JSON values.

A run folder answers for one run only: a checkpoint continues, and a finished stage is returned, where the
record stored with it equals the record of what is asked for now. Programs are compared by what jax traces
them to, so that an activation, a constant, or a line of an evaluation that changed is seen.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, PyTree
from jaxrl.run.config import config_to_dict

DEPTH = 4  # closures inside closures that are searched for configurations


def digest(tree: PyTree) -> str:
    """Short SHA-256 of names, shapes, dtypes and bytes of all leaves."""
    found = hashlib.sha256()
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        found.update(f"{jax.tree_util.keystr(path)} ".encode() + _array_bytes(x))
    return found.hexdigest()[:16]


def program(function: Callable[..., Any], *arguments: Any) -> str:
    """Short SHA-256 of what jax traces `function` to for arguments of these shapes, constants included."""
    closed = jax.make_jaxpr(function)(*arguments)
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(closed)).encode())
    for constant in _constants(closed):
        found.update(_array_bytes(constant))
    return found.hexdigest()[:16]


def configurations(algorithm: Algorithm) -> dict[str, Any]:
    """The frozen configurations that an algorithm was made from, by class, as far as its closures hold them.

    They give a refusal the name of the field that differs; `program` notices what is not found here.
    """
    found: dict[str, Any] = {}
    for function in (algorithm.init, algorithm.step, algorithm.act):
        for value in _enclosed(function, DEPTH):
            try:
                found.setdefault(type(value).__name__, config_to_dict(value))
            except UsageError:  # holds arrays or functions
                continue
    return found


def _enclosed(function: Any, depth: int) -> Iterator[Any]:
    """Frozen dataclasses in the closure of a function, in its defaults and in what it calls there."""
    if isinstance(function, functools.partial):
        values = [function.func, *function.args, *function.keywords.values()]
    else:
        cells = getattr(_plain_function(function), "__closure__", None) or ()
        values = [c.cell_contents for c in cells if _is_filled(c)]
    for value in values:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield value
        elif callable(value) and not isinstance(value, type) and depth > 0:
            yield from _enclosed(value, depth - 1)


def _plain_function(function: Any) -> Any:
    """The function behind a bound method or a compiled one."""
    function = getattr(function, "__wrapped__", function)
    return getattr(function, "__func__", function)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is assigned later, or never
        return False


def _constants(closed: Any) -> Iterator[Any]:
    """Arrays that a traced program holds, in the order in which they stand there."""
    yield from closed.consts
    for equation in closed.jaxpr.eqns:
        yield from (x.val for x in equation.invars if hasattr(x, "val"))
        for parameter in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if hasattr(parameter, "consts"):
                yield from _constants(parameter)
            elif hasattr(parameter, "eqns"):
                yield from _constants(_Open(parameter))


@dataclasses.dataclass(frozen=True)
class _Open:
    """A program inside another one, whose constants are arguments."""

    jaxpr: Any
    consts: tuple[Any, ...] = ()


def _is_program(x: Any) -> bool:
    return hasattr(x, "eqns") or hasattr(x, "consts")


def _array_bytes(x: Any) -> bytes:
    """Shape, dtype and bytes of a number, an array or an array of keys."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    x = np.asarray(x)
    return f"{x.shape} {x.dtype}".encode() + x.tobytes()
