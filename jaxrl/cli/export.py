"""Runs in other programs' formats: metrics as a table, a trained policy as policy.npz + policy.json.

A policy is stored as what its `act` reads: the algorithm's module and configuration, the spaces (which hold
the scaling of actions), and the leaves of the state on which actions depend: network weights and observation
statistics, never the optimiser, the buffer or running episodes. Loading needs that module, no checkpoint
library and no simulator, and gives the same actions bit for bit.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxrl.cli.execution import scratch_copy
from jaxrl.core.errors import CorruptInput, MissingExtra, UsageError
from jaxrl.run.config import config_from_dict, config_to_dict
from jaxrl.run.folder import RunFolder, atomic_write, installed_versions

FORMAT = 1


class TrainedPolicy(NamedTuple):
    """What an experiment's `policy(config, folder, member)` returns for export.

    algorithm: module with `Config` and `make(config, env)`, for example `jaxrl.baselines.ppo`. config: its
    static configuration. env: the environment (spaces and name are stored). state, hyper: of one member.
    """

    algorithm: str
    config: Any
    env: Any
    state: Any
    hyper: Any


@dataclasses.dataclass(frozen=True)
class Interface:
    """What `make` asks of an environment in order to build a policy: its spaces, not its dynamics."""

    name: str
    observation_space: Any
    action_space: Any
    reward_dim: int | None


def export_metrics(folder: RunFolder, dest: Path, kind: str) -> Path:
    """metrics.csv or metrics.parquet: one row per log point; `name[i]` columns hold the members."""
    records = [_columns(r) for r in folder.read_metrics()]
    names = list(dict.fromkeys(name for r in records for name in r))
    dest.mkdir(parents=True, exist_ok=True)
    path = dest / f"metrics.{kind}"
    if kind == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, names)
        writer.writeheader()
        writer.writerows(records)
        atomic_write(path, buffer.getvalue())
        return path
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra("parquet: pyarrow is not installed; pip install pyarrow") from error
    table = pyarrow.table({name: [r.get(name) for r in records] for name in names})
    pyarrow.parquet.write_table(table, path)
    return path


def export_run(module: ModuleType, config: Any, folder: RunFolder, member: int, dest: Path) -> list[Path]:
    """The policy of one member of a finished run; the experiment must define `policy`.

    It restores the state from a copy of the run, so that the run itself is only read.
    """
    if not hasattr(module, "policy"):
        raise UsageError(f"{folder.experiment}: defines no policy(config, folder, member), nothing to export")
    with scratch_copy(folder) as copy:
        return export_policy(dest, module.policy(config, copy, member))


def export_policy(dest: Path, trained: TrainedPolicy) -> list[Path]:
    """Writes policy.npz and policy.json into the folder `dest`.

    Raises `UsageError` where a space, the configuration or a part of the state has no JSON form.
    """
    env = trained.env
    algorithm = importlib.import_module(trained.algorithm).make(trained.config, env)
    state, hyper = _prune(algorithm, env.observation_space, trained.state, trained.hyper)
    arrays: dict[str, Any] = {}
    record = {
        "format": FORMAT,
        "algorithm": trained.algorithm,
        "config": config_to_dict(trained.config),
        "env": {"name": env.name, "backend": getattr(env, "backend", None), "reward_dim": env.reward_dim},
        "observation_space": _space_to_dict(env.observation_space),
        "action_space": _space_to_dict(env.action_space),
        "state": _describe(state, "state", arrays),
        "hyper": _describe(hyper, "hyper", arrays),
        "versions": installed_versions(),
    }
    dest.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic_write(dest / "policy.npz", buffer.getvalue())
    atomic_write(dest / "policy.json", json.dumps(record, indent=2, allow_nan=False) + "\n")
    return [dest / "policy.npz", dest / "policy.json"]


def load_policy(path: str | Path, *, greedy: bool = True) -> Any:
    """The `Policy` stored in the folder `path`: `act(key, obs, memory) -> (action, aux, memory)`.

    Raises `CorruptInput` for files that are damaged or not of this format.
    """
    path = Path(path)
    try:
        record = json.loads((path / "policy.json").read_text(encoding="utf-8"))
        with np.load(path / "policy.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r} is not {FORMAT}")
        module = _own_module(record["algorithm"])
        config = config_from_dict(module.Config, record["config"])
        env = Interface(
            record["env"]["name"],
            _space_from_dict(record["observation_space"]),
            _space_from_dict(record["action_space"]),
            record["env"]["reward_dim"],
        )
        state, hyper = _rebuild(record["state"], arrays), _rebuild(record["hyper"], arrays)
        algorithm = module.make(config, env)
    except Exception as error:  # zip, zlib, numpy and json each have their own classes
        raise CorruptInput(f"{path}: holds no policy that can be read ({error})") from error
    return algorithm.act(state, hyper, greedy)


def _prune(algorithm: Any, observation_space: Any, state: Any, hyper: Any) -> tuple[Any, Any]:
    """State and hyper with None for every leaf on which neither the greedy nor the sampled action depends."""
    import jax

    from jaxrl.core.spaces import sample

    key = jax.random.key(0)
    obs = jax.eval_shape(lambda k: sample(observation_space, k), key)
    leaves, structure = jax.tree.flatten((state, hyper))

    def actions(leaves: list[Any], key: Any, obs: Any) -> list[Any]:
        parts = jax.tree.unflatten(structure, leaves)
        policies = [algorithm.act(*parts, greedy) for greedy in (True, False)]
        return [(p.act(key, obs, p.memory), p.memory) for p in policies]

    jaxpr = jax.make_jaxpr(actions)(leaves, key, obs).jaxpr
    needed = set(filter(_is_variable, jaxpr.outvars))
    for equation in reversed(jaxpr.eqns):
        if not needed.isdisjoint(equation.outvars):
            needed.update(filter(_is_variable, equation.invars))
    kept = [x if v in needed else None for x, v in zip(leaves, jaxpr.invars, strict=False)]
    return jax.tree.unflatten(structure, kept)


def _is_variable(atom: Any) -> bool:
    return not hasattr(atom, "val")  # literals carry their value and cannot be hashed


def _describe(tree: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON form of a pruned state: records by class name, arrays by their name in `arrays`, which it fills.

    A part of which nothing is needed becomes None, whatever it is.
    """
    import jax

    leaves = jax.tree.leaves(tree, is_leaf=lambda x: x is None)
    if leaves and all(x is None for x in leaves):
        return {"value": None}
    if isinstance(tree, bool | int | float | str):
        return {"value": tree}
    if isinstance(tree, dict):
        return {"dict": {k: _describe(v, f"{name}.{k}", arrays) for k, v in tree.items()}}
    if dataclasses.is_dataclass(tree) or hasattr(tree, "_fields"):
        cls = type(tree)
        return {
            "class": f"{cls.__module__}:{cls.__qualname__}",
            "fields": {k: _describe(v, f"{name}.{k}", arrays) for k, v in _fields(tree)},
        }
    if isinstance(tree, tuple | list):
        return {"tuple": [_describe(v, f"{name}.{i}", arrays) for i, v in enumerate(tree)]}
    if hasattr(tree, "shape"):
        arrays[name] = np.asarray(tree)
        return {"array": name}
    raise UsageError(f"{name}: {type(tree).__name__} cannot be exported")


def _rebuild(node: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    ((kind, value), *rest) = node.items()
    if kind == "value":
        return value
    if kind == "array":
        return arrays[value]
    if kind == "dict":
        return {k: _rebuild(v, arrays) for k, v in value.items()}
    if kind == "tuple":
        return tuple(_rebuild(v, arrays) for v in value)
    module, _, name = value.partition(":")
    cls = getattr(_own_module(module), name)
    if not (isinstance(cls, type) and (dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"))):
        raise ValueError(f"{value} is no record")
    return cls(**{k: _rebuild(v, arrays) for k, v in rest[0][1].items()})


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(record, "_fields", None) or [f.name for f in dataclasses.fields(record)]
    return ((name, getattr(record, name)) for name in names)


def _own_module(name: str) -> ModuleType:
    """A module of this package: a file must not choose what else is imported."""
    if not name.startswith("jaxrl."):
        raise ValueError(f"{name} is no module of jaxrl")
    return importlib.import_module(name)


def _space_to_dict(space: Any) -> Any:
    from jaxrl.core.spaces import Box, Discrete

    if isinstance(space, Discrete):
        return {"discrete": space.n}
    if isinstance(space, Box):
        bounds = {"low": space.low, "high": space.high}
        return {"box": list(space.shape), "dtype": np.dtype(space.dtype).name, **_finite(bounds)}
    if isinstance(space, dict):
        return {"dict": {k: _space_to_dict(v) for k, v in space.items()}}
    if isinstance(space, tuple):
        return {"tuple": [_space_to_dict(v) for v in space]}
    raise UsageError(f"space: {type(space).__name__} cannot be exported")


def _space_from_dict(node: dict[str, Any]) -> Any:
    from jaxrl.core.spaces import Box, Discrete

    if "discrete" in node:
        return Discrete(node["discrete"])
    if "dict" in node:
        return {k: _space_from_dict(v) for k, v in node["dict"].items()}
    if "tuple" in node:
        return tuple(_space_from_dict(v) for v in node["tuple"])
    low, high = (np.asarray(node[k], np.float64) for k in ("low", "high"))  # text "inf" is a float to numpy
    return Box(low.tolist(), high.tolist(), tuple(node["box"]), np.dtype(node["dtype"]).type)


def _finite(value: Any) -> Any:
    """Infinite bounds as text: JSON has no token for them."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_finite(v) for v in value]
    return value if np.isfinite(value) else str(value)


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    """Lists as `name[i]` entries, nested ones as `name[i,j]`."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "nonfinite":
            flat[name] = " ".join(value)
        elif isinstance(value, list):
            array = np.array(value, dtype=object)
            for index in np.ndindex(array.shape):
                flat[f"{name}[{','.join(map(str, index))}]"] = array[index]
        else:
            flat[name] = value
    return flat
