"""The environments of the library by name, for configurations and command lines."""

from __future__ import annotations

import functools
import importlib
import pkgutil

import jaxrl.envs
from jaxrl.core.errors import UsageError, nearest
from jaxrl.envs.base import Entry, Env


@functools.cache
def catalogue() -> dict[str, Entry]:
    """Every environment by name: the `ENVIRONMENTS` of all modules in `jaxrl.envs` and its folders.

    A new file appears here without an old one changing. Adapters are left out, for their libraries are
    optional. Raises `UsageError` for a name used twice.
    """
    found: dict[str, Entry] = {}
    for module in pkgutil.walk_packages(jaxrl.envs.__path__, "jaxrl.envs."):
        if module.ispkg or module.name.startswith("jaxrl.envs.adapters."):
            continue
        own = getattr(importlib.import_module(module.name), "ENVIRONMENTS", {})
        if twice := found.keys() & own.keys():
            raise UsageError(f"{module.name}.ENVIRONMENTS: {min(twice)!r} is taken; choose another name")
        found |= own
    return found


def make(name: str) -> Env:
    """The environment called `name`; raises `UsageError` with the nearest name where there is none."""
    known = catalogue()
    if name not in known:
        raise UsageError(f"environment {name!r} does not exist; {nearest(name, known)}")
    return known[name].make()
