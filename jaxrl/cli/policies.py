"""Trained policies as files, policy.npz and policy.json, which load wherever the algorithm can be imported.

A policy is stored as what its `act` reads: the algorithm's module and configuration, the spaces (which hold
the scaling of actions), and the leaves of the state on which actions depend: network weights and observation
statistics, never the optimiser, the buffer or running episodes. Loading needs that module, no checkpoint
library and no simulator, and gives the same actions bit for bit.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jaxrl.core.errors import CorruptInput, StorageError, UsageError
from jaxrl.core.types import Algorithm, Policy, PyTree
from jaxrl.run.config import config_from_dict, config_to_dict
from jaxrl.run.folder import atomic_write, installed_versions

FORMAT = 2


@dataclasses.dataclass(frozen=True)
class Interface:
    """The spaces of an environment without its dynamics, from which most algorithms can build a policy."""

    name: str
    observation_space: Any
    action_space: Any
    reward_dim: int | None


def export_policy(dest: Path, algorithm: Algorithm, state: PyTree, hyper: PyTree) -> list[Path]:
    """Writes policy.npz and policy.json into the folder `dest`; returns the two files.

    algorithm: must carry its `origin`. state, hyper: of one member, without a population axis.

    Raises `UsageError` where the algorithm says no origin, or where a space, the configuration or a part of
    the state has no JSON form; `StorageError` where `dest` cannot be written.
    """
    import jax

    origin = algorithm.origin
    if origin is None:
        raise UsageError("policy: the algorithm carries no origin; set `Algorithm.origin` in its `make`")
    _importable(origin.module, "origin.module")
    arrays: dict[str, Any] = {}
    module = importlib.import_module(origin.module)
    config, env = _own_config(module, origin.config), None
    name, reward_dim = getattr(origin.env, "name", ""), getattr(origin.env, "reward_dim", None)
    interface = Interface(name, origin.observation_space, origin.action_space, reward_dim)
    try:
        needed = _prune(_made(module, config, interface), interface.observation_space, state, hyper)
    except Exception:  # some algorithms ask more of their environment than its spaces
        if origin.env is None:
            raise
        env = _describe(origin.env, "env", arrays)
        needed = _prune(_made(module, config, origin.env), interface.observation_space, state, hyper)
    record = {
        "format": FORMAT,
        "algorithm": origin.module,
        "config": None if config is None else config_to_dict(config),
        "interface": {"name": interface.name, "reward_dim": interface.reward_dim},
        "env": env,
        "standardise": _describe(origin.standardise, "standardise", arrays),
        "observation_space": _space_to_dict(origin.observation_space),
        "action_space": _space_to_dict(origin.action_space),
        "state": _describe(needed[0], "state", arrays),
        "hyper": _describe(needed[1], "hyper", arrays),
        "float64": jax.config.read("jax_enable_x64") and any(x.dtype == np.float64 for x in arrays.values()),
        "versions": installed_versions(),
    }
    make_folder(dest)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic_write(dest / "policy.npz", buffer.getvalue())
    atomic_write(dest / "policy.json", json.dumps(record, indent=2, allow_nan=False) + "\n")
    return [dest / "policy.npz", dest / "policy.json"]


def load_policy(path: str | Path, *, greedy: bool = True, trust: Sequence[str] = ()) -> Policy:
    """Loads the policy stored in the folder `path`: `act(key, obs, memory) -> (action, aux, memory)`.

    trust: packages beside jaxrl that the file may import, for example that of your own algorithm.

    Raises `UsageError` for a module that is not trusted, and for a policy in double precision outside of
    `jax.enable_x64(True)`, inside which it acts, too; `CorruptInput` for files that are damaged or not of
    this format.
    """
    return _load(Path(path), greedy, trust)[0]


def load_player(path: str | Path, *, greedy: bool = True, seed: int = 0, trust: Sequence[str] = ()) -> Player:
    """Loads the policy stored in the folder `path` as a player for gymnasium, as `load_policy` does."""
    policy, action_space = _load(Path(path), greedy, trust)
    return Player(policy, action_space, seed)


class Player:
    """A policy on the host: observations of gymnasium in, actions of gymnasium out.

    Call `reset` where an episode begins, then the player with each observation. It keeps the policy's memory
    and takes a new key at every step.
    """

    def __init__(self, policy: Policy, action_space: Any, seed: int = 0) -> None:
        import jax

        self._policy, self._space = policy, action_space
        self._key, self._steps = jax.random.key(seed), 0
        self._act = jax.jit(policy.act)
        self.reset()

    def reset(self) -> None:
        """Forgets the episode so far."""
        self._memory = self._policy.memory

    def __call__(self, obs: Any) -> Any:
        """Returns an action for one observation: int for `Discrete`, a numpy array for `Box`."""
        from jaxrl.core.prng import stream

        action, _, self._memory = self._act(stream(self._key, self._steps), obs, self._memory)
        self._steps += 1
        return _host_action(action, self._space)


def one_member(population: PyTree, member: int) -> PyTree:
    """The leaves `[...]` of one member of a population, leaves `[B, ...]`."""
    from jaxrl.core.tree import tree_take

    return tree_take(population, member)


def make_folder(dest: Path) -> None:
    """Makes a folder for exports; raises `StorageError` where that is not possible."""
    try:
        dest.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{dest}: cannot be a folder ({error.strerror}); name another --dest") from error


def _load(path: Path, greedy: bool, trust: Sequence[str]) -> tuple[Policy, Any]:
    import jax

    rebuild: Any = functools.partial(_rebuild, trust=("jaxrl", *trust))
    try:
        record = json.loads((path / "policy.json").read_text(encoding="utf-8"))
        with np.load(path / "policy.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r} is not {FORMAT}")
        if record.get("float64", False) and not jax.config.read("jax_enable_x64"):
            raise _Refused(f"{path}: computes in float64; load and use it inside `jax.enable_x64(True)`")
        module = _trusted_module(record["algorithm"], ("jaxrl", *trust))
        stored = record["config"]
        config = None if stored is None else config_from_dict(module.Config, stored)
        spaces = [_space_from_dict(record[name]) for name in ("observation_space", "action_space")]
        plain = Interface(
            record["interface"]["name"], spaces[0], spaces[1], record["interface"]["reward_dim"]
        )
        env = plain if record["env"] is None else rebuild(record["env"], arrays)
        state, hyper = rebuild(record["state"], arrays), rebuild(record["hyper"], arrays)
        standardise = rebuild(record["standardise"], arrays)
        policy = _made(module, config, env).act(state, hyper, greedy)
    except _Refused:
        raise
    except Exception as error:  # zip, zlib, numpy and json each have their own classes
        raise CorruptInput(f"{path}: holds no policy that can be read ({error})") from error
    if standardise is not None:
        act = functools.partial(_standardised, policy.act, *standardise)
        policy = policy._replace(act=act)
    return policy, spaces[1]


def _standardised(act: Any, offset: np.ndarray, scale: np.ndarray, key: Any, obs: Any, memory: Any) -> Any:
    return act(key, (obs - offset) / scale, memory)


def _own_config(module: ModuleType, config: Any) -> Any:
    """The fields that the module's own `Config` has, where a family extended it; None where it has none."""
    if config is None:
        return None
    if not hasattr(module, "Config"):
        raise UsageError(
            f"policy: {module.__name__} has no `Config`; name there what its `make` takes as config"
        )
    if type(config) is module.Config:
        return config
    return module.Config(**dict(_fields(config, module.Config)))


def _made(module: ModuleType, config: Any, env: Any) -> Algorithm:
    if "observation_space" in inspect.signature(module.make).parameters:
        return module.make(config, env.observation_space, env.action_space)
    return module.make(config, env)


def _host_action(action: Any, space: Any) -> Any:
    if isinstance(space, dict):
        return {k: _host_action(action[k], v) for k, v in space.items()}
    if isinstance(space, tuple):
        return tuple(_host_action(a, s) for a, s in zip(action, space, strict=True))
    value = np.asarray(action, space.dtype)
    return int(value) if hasattr(space, "n") else value


def _importable(module: str, name: str) -> None:
    if module == "__main__":
        raise UsageError(f"{name}: stands in a script; put the algorithm into a module that can be imported")


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
        _importable(cls.__module__, name)
        return {
            "class": f"{cls.__module__}:{cls.__qualname__}",
            "fields": {k: _describe(v, f"{name}.{k}", arrays) for k, v in _fields(tree)},
        }
    if isinstance(tree, tuple | list):
        return {
            "tuple" if isinstance(tree, tuple) else "list": [
                _describe(v, f"{name}.{i}", arrays) for i, v in enumerate(tree)
            ]
        }
    if hasattr(tree, "shape"):
        arrays[name] = np.asarray(tree)
        return {"array": name}
    raise UsageError(f"{name}: {type(tree).__name__} cannot be exported")


def _rebuild(node: dict[str, Any], arrays: dict[str, np.ndarray], trust: Sequence[str]) -> Any:
    ((kind, value), *rest) = node.items()
    again = functools.partial(_rebuild, arrays=arrays, trust=trust)
    if kind == "value":
        return value
    if kind == "array":
        return arrays[value]
    if kind == "dict":
        return {k: again(v) for k, v in value.items()}
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(again(v) for v in value)
    module, _, name = value.partition(":")
    cls = getattr(_trusted_module(module, trust), name)
    if not (isinstance(cls, type) and (dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"))):
        raise ValueError(f"{value} is no record")
    return cls(**{k: again(v) for k, v in rest[0][1].items()})


def _fields(record: Any, cls: Any = None) -> Iterator[tuple[str, Any]]:
    """Name and value of the fields of a record that `cls`, by default its class, is made from."""
    cls = type(record) if cls is None else cls
    names = getattr(cls, "_fields", None) or [f.name for f in dataclasses.fields(cls) if f.init]
    return ((name, getattr(record, name)) for name in names)


class _Refused(UsageError):
    pass


def _trusted_module(name: str, trust: Sequence[str]) -> ModuleType:
    """A module of a trusted package: a file must not choose what else is imported."""
    if not any(name == package or name.startswith(f"{package}.") for package in trust):
        package = name.partition(".")[0]
        raise _Refused(
            f"policy: would import {name}, which is no part of jaxrl; if you trust it, load with"
            f" trust=({package!r},)"
        )
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
