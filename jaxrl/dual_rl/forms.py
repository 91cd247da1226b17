"""From the name of a method to the file that trains it, its `Config` and its `Hyper`.

    config = forms.config("XQL", batch_size=64)
    algorithm = forms.algorithm(config, env.observation_space, env.action_space)
    hyper = forms.hyper(config, gamma=0.95)

Nothing is computed here; a program of one form needs that form's file alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.fields import check_numbers
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm
from jaxrl.dual_rl import dual_q, dual_v, implicit, recoil
from jaxrl.dual_rl.methods import check_parameter, method

FILES: Mapping[str, ModuleType] = {
    "implicit": implicit,
    "recoil": recoil,
    "dual_v": dual_v,
    "dual_q": dual_q,
}
"""The module of each form, by `Method.file`."""

Config = implicit.Config | recoil.Config | dual_v.Config | dual_q.Config
Hyper = implicit.Hyper | recoil.Hyper | dual_v.Hyper | dual_q.Hyper


def file_of(name: str) -> ModuleType:
    """The module that trains the method called `name` with networks.

    Raises `UsageError` for unknown methods and for the exact form of ReCOIL over V.
    """
    row = method(name)
    if row.file is None:
        raise UsageError(
            f"method: {name} is exact and constant off the expert; use ReCOIL released or ReCOIL-Q"
        )
    return FILES[row.file]


def config(*names: str, **choices: Any) -> Config:
    """The `Config` of the methods called `names`, which one file trains, with further static `choices`.

    Raises `UsageError` where no one program holds them all.
    """
    if not names:
        raise UsageError("methods: name at least one method")
    files = {file_of(name) for name in names}
    if files == {implicit}:
        return implicit.Config(methods=names, **choices)
    if len(names) > 1:
        raise UsageError(
            f"methods: {', '.join(names)} differ in more than their maximiser; make one Config for each"
        )
    (file,) = files
    return recoil.Config(**choices) if file is recoil else file.Config(method=names[0], **choices)


def algorithm(config: Config, observation_space: Space, action_space: Space, **options: Any) -> Algorithm:
    """The algorithm of a configuration of any form; arguments and refusals of the `make` of its file."""
    return _file(config).make(config, observation_space, action_space, **options)


def names_of(config: Config) -> tuple[str, ...]:
    """The methods that a configuration holds."""
    if isinstance(config, implicit.Config):
        return config.methods
    return (recoil.NAME,) if isinstance(config, recoil.Config) else (config.method,)


def reads(config: Config) -> frozenset[str]:
    """Names of the hyper-parameters of a configuration's form."""
    return frozenset(_file(config).Hyper.__dataclass_fields__)


def hyper(config: Config, name: str | None = None, **values: Any) -> Hyper:
    """Hyper-parameters of the method called `name` (default: the first of `config`), with its own parameter.

    values: single numbers in place of the defaults.

    Raises `UsageError` for a method that `config` does not hold, a parameter at which its loss is degenerate,
    an unknown hyper-parameter, and one outside its range.
    """
    names = names_of(config)
    name = names[0] if name is None else name
    if name not in names:
        raise UsageError(f"hyper: {name!r} is none of the methods {names} of the Config")
    row, known = method(name), reads(config)
    for field in values:
        if field not in known:
            raise UsageError(f"Hyper.{field}: no such hyper-parameter; {nearest(field, known)}")
        if np.ndim(values[field]):
            raise UsageError(f"Hyper.{field}: must be one number, got shape {np.shape(values[field])}")
    own: dict[str, Any] = {"parameter": row.parameter}
    if isinstance(config, implicit.Config):
        own["which"] = names.index(name)
    made = _file(config).Hyper(**(own | values))
    check_numbers(made)
    check_parameter(row, made.parameter)
    return made


def _file(config: Config) -> ModuleType:
    return next(file for file in FILES.values() if isinstance(config, file.Config))
