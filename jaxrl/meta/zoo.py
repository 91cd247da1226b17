"""Rules that can be used at once: means of published meta-runs, their closed forms, and rules made by hand.

    ppo.make(config, env, surrogate=zoo.load("dpo").surrogate)  # slot "drift"
    evaluate_objective("reinforce", "GridWorld-small", 20)      # any slot

A learned rule is a pair of files of kilobytes: `zoo_files/<name>.npz` with its parameters, and `<name>.json`
with the record, which has rule and arguments, SHA-256 of the arrays, features in order, certificate,
training, evaluation, and the command and configuration that made it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import CorruptInput, UsageError, nearest
from jaxrl.core.files import atomic, sha256
from jaxrl.core.types import Array, PyTree
from jaxrl.data import safe
from jaxrl.meta import drift, targets
from jaxrl.meta.objective import Objective, Slot

FORMAT = 1
FOLDER = Path(__file__).with_name("zoo_files")
LIMIT = 10_000_000  # bytes of the arrays of a rule

RULES: dict[str, Callable[..., Objective]] = {
    "ppo": drift.ppo,
    "dpo": drift.dpo,
    "lpo": drift.lpo,
    "ta_lpo": drift.ta_lpo,
    "ta_dpo": drift.ta_dpo,
    "scheduled_ppo": drift.scheduled_ppo,
    "lpg": targets.lpg,
    "reinforce": targets.reinforce,
}
BY_HAND: dict[str, dict[str, Any]] = {"ppo": {}, "dpo": {}, "reinforce": {"start": 1.75}}
"""Rules made by hand, and what they are called with. The step of REINFORCE, exp(1.75), is within .003 of the
best constant one on small grid levels at horizons of 5 to 50 updates, by an independent measurement."""


class Entry(NamedTuple):
    """A rule with its parameters. record: what its file says about it, {} for a rule made by hand."""

    name: str
    objective: Objective
    phi: PyTree
    record: dict[str, Any]

    @property
    def surrogate(self) -> Callable[..., Array]:
        """The surrogate of the drift, for `ppo.make(config, env, surrogate=...)`.

        Raises:
            UsageError: the rule has a schedule of the learner's numbers, or is of another slot.
        """
        if self.objective.schedule is not None:
            raise UsageError(f"{self.name}: has a schedule; use drift.learner")
        return drift.drift(self.objective, self.phi)


def names(folder: Path | str = FOLDER, slot: Slot | None = None) -> list[str]:
    """Every name that `load` knows, rules made by hand first; those of one slot if it is given.

    It makes no array, so that devices may be chosen afterwards.

    Raises:
        UsageError: the slot is unknown.
        CorruptInput: a slot is given, and the record of a rule is damaged.
    """
    if slot is not None and slot not in get_args(Slot):
        raise UsageError(f"slot: {slot!r} is none of {', '.join(get_args(Slot))}")
    files = sorted(Path(folder).glob("*.json"))
    found = {name: _objective(name, name, own, UsageError).slot for name, own in BY_HAND.items()}
    found |= {path.stem: slot and _record(path)["slot"] for path in files}
    return [name for name, own in found.items() if slot is None or own == slot]


def load(name: str, slot: Slot | None = None, folder: Path | str = FOLDER) -> Entry:
    """The rule of that name.

    slot: raise an error for a rule of another slot. folder: where the files of learned rules are.

    Raises:
        UsageError: no such rule (says the nearest name), or one of another slot.
        CorruptInput: its files are damaged, of a newer format, or do not fit the rule that they name.
    """
    known = names(folder)
    if name not in known:
        raise UsageError(f"name: the zoo has no {name!r}; {nearest(name, known)}")
    if name in BY_HAND:
        objective = _objective(name, name, BY_HAND[name], UsageError)
        entry = Entry(name, objective, objective.init(jax.random.key(0)), {})
    else:
        entry = _read(name, Path(folder))
    if slot is not None and entry.objective.slot != slot:
        raise UsageError(
            f'name: {name} is of the slot "{entry.objective.slot}", not of "{slot}"; take another rule'
        )
    return entry


def read(path: Path | str) -> Entry:
    """The rule of a pair of files that `save` wrote, by the path of either.

    Raises:
        UsageError: there is no such pair.
        CorruptInput: as `load`.
    """
    path = Path(path)
    missing = [p for p in (path.with_suffix(".json"), path.with_suffix(".npz")) if not p.is_file()]
    if missing:
        raise UsageError(f"{missing[0]}: does not exist; a rule is a pair of files, name.json and name.npz")
    return _read(path.stem, path.parent)


def save(
    name: str,
    rule: str,
    arguments: dict[str, Any],
    arrays: dict[str, np.ndarray],
    about: dict[str, Any],
    folder: Path | str = FOLDER,
) -> Path:
    """Writes both files of a learned rule; the path of the record.

    rule, arguments: key of `RULES`, and what it is called with. arrays: learned entries of phi, by the names
    that `learned` gives them. about: certificate, training, evaluation, command, configuration hash.

    Raises:
        UsageError: the arrays do not fit the rule, or are not finite.
    """
    objective = _objective(name, rule, arguments, UsageError)
    _check_arrays(name, objective, arrays, UsageError)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / f"{name}.npz") as file, file.open("wb") as stream:
        np.savez(stream, **{k: np.asarray(v, np.float32) for k, v in arrays.items()})
    record = {
        "format": FORMAT,
        "rule": rule,
        "arguments": arguments,
        "slot": objective.slot,
        "inputs": list(objective.inputs),
        "features": list(objective.features),
        "shapes": {k: list(np.shape(v)) for k, v in arrays.items()},
        "sha256": sha256(folder / f"{name}.npz"),
        **about,
    }
    path = folder / f"{name}.json"
    with atomic(path) as file:
        file.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    return path


def note(name: str, about: dict[str, Any], folder: Path | str = FOLDER) -> Path:
    """Adds to the record of a learned rule, whose arrays stay as they are; the path of the record.

    about: entries that are added or replaced, of numbers, text, lists and dicts.

    Raises:
        CorruptInput: the record is damaged.
    """
    path = Path(folder) / f"{name}.json"
    record = _record(path) | about
    with atomic(path) as file:
        file.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    return path


def _record(path: Path) -> dict[str, Any]:
    """The record of a rule, of this format and with all that `_read` needs."""
    try:
        record = json.loads(path.read_text())
        version = record["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptInput(f"{path}: not the record of a rule ({error}); fetch it again") from error
    if version != FORMAT:
        raise CorruptInput(f"{path}: has format {version}, this version reads {FORMAT}; update jaxrl")
    missing = [
        k for k in ("rule", "arguments", "slot", "inputs", "features", "shapes", "sha256") if k not in record
    ]
    if missing:
        raise CorruptInput(f"{path}: lacks {', '.join(missing)}; fetch it again")
    return record


def _read(name: str, folder: Path) -> Entry:
    path = folder / f"{name}.json"
    record = _record(path)
    objective = _objective(str(path), record["rule"], record["arguments"], CorruptInput)
    for field in ("slot", "inputs", "features"):
        said, has = record[field], getattr(objective, field)
        if said != (list(has) if isinstance(has, tuple) else has):
            raise CorruptInput(
                f"{path}: {field} {said!r}, but {objective.name} of this version has {has!r}; "
                "fetch a file that fits"
            )
    arrays_path = path.with_suffix(".npz")
    safe.verify(arrays_path, record["sha256"])
    arrays = safe.read_npz(arrays_path, limit=LIMIT)
    _check_arrays(str(arrays_path), objective, arrays, CorruptInput)
    return Entry(name, objective, parameters(objective, arrays), record)


def learned(phi: PyTree) -> dict[str, Any]:
    """The entries of phi that a search moves, by their path, such as "cell/ir/kernel".

    "phi" is the name of a phi that is one array; what makes a drift a rule, its parts, is not among them.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(phi)
    return {_path(path): x for path, x in leaves if not _path(path).startswith("parts/")}


def parameters(objective: Objective, arrays: dict[str, Any]) -> PyTree:
    """Phi of a rule with learned entries `arrays` in place of those that a search starts from."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.asarray(arrays[_path(path)]) if _path(path) in arrays else x,
        objective.init(jax.random.key(0)),
    )


def _path(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/") or "phi"


def _objective(where: str, rule: Any, arguments: Any, error: type[Exception]) -> Objective:
    if rule not in RULES:
        raise error(f"{where}: rule {rule!r} is unknown; {nearest(str(rule), RULES)}")
    try:
        return _made(rule, json.dumps(arguments, sort_keys=True))
    except (TypeError, UsageError) as problem:
        raise error(f"{where}: {rule} cannot be made of {arguments!r} ({problem})") from problem


@functools.cache  # equal rules share programs
def _made(rule: str, arguments: str) -> Objective:
    own = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(arguments).items()}
    return RULES[rule](**own)


def _check_arrays(where: str, objective: Objective, arrays: dict[str, Any], error: type[Exception]) -> None:
    """Raises `error` unless the arrays are those of the rule, in shape, and finite."""
    made = jax.eval_shape(objective.init, jax.random.key(0))
    wanted = {k: tuple(v.shape) for k, v in learned(made).items()}
    found = {k: tuple(np.shape(v)) for k, v in arrays.items()}
    if wanted != found:
        raise error(
            f"{where}: has arrays {found}, but {objective.name} has {wanted}; take the rule that they fit"
        )
    broken = [k for k, v in arrays.items() if not np.all(np.isfinite(v))]
    if broken:
        raise error(f"{where}: {', '.join(broken)} is not finite; take another meta-run")
