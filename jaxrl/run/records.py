"""Readers of the small JSON files of a run, one for each kind, which check shape and types.

What is damaged raises CorruptInput; what the user wrote (sweep files, --config-file) raises UsageError.
Nothing here imports jax.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxrl.core.errors import CorruptInput, JaxrlError

STATES = ("created", "running", "done", "failed", "preempted")
Shape = Mapping[str, Any]  # field -> the types that its value may have

CONFIG: Shape = {"schema": int, "experiment": str, "preset": str, "config": dict}
META: Shape = {
    "config_hash": str,
    "command": str,
    "created_utc": str,
    "git_commit": str | None,
    "git_dirty": bool | None,
    "python": str,
    "platform": str,
    "host": str,
    "cores": int | None,
    "versions": dict,
    "xla_flags": str,
}
META_LATER: Shape = {
    "lane_asked": int | str,
    "lane": dict,
    "work": dict,
    "backend": str,
    "devices": list,
    "processes": int,
    "x64": bool,
    "prng_impl": str,
}
STATUS: Shape = {
    "state": str,
    "update": int,
    "updates_total": int | None,
    "exit_code": int | None,
    "error": str | None,
    "heartbeat_utc": str,
}
LINE: Shape = {"stage": str, "update": int}
LINE_LATER: Shape = {"env_steps": int, "wall_s": float, "cpu_s": float, "nonfinite": list}
MANIFEST: Shape = {
    "format": int,
    "step": int,
    "versions": dict,
    "tree": list,
    "files": dict,
    "meta": dict,
    "sha256": str,
}


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a run: schema, experiment, preset and the configuration."""
    return _fields(read_object(path), CONFIG, {}, str(path))


def read_meta(path: Path) -> dict[str, Any]:
    """meta.json of a run: command line, versions, machine, lanes."""
    record = _fields(read_object(path), META, META_LATER, str(path))
    for name, version in record["versions"].items():
        _typed(version, str, f"{path}: versions.{name}")
    return record


def read_status(path: Path) -> dict[str, Any]:
    """status.json of a run: state, progress, exit code, heartbeat."""
    record = _fields(read_object(path), STATUS, {"stage": str}, str(path))
    if record["state"] not in STATES:
        raise CorruptInput(
            f"{path}: state: must be one of {', '.join(STATES)}, got {_shown(record['state'])}"
        )
    return record


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of metrics.jsonl; an incomplete last line is ignored.

    Metrics are numbers, null, or nested lists of them; those of one stage and name have one shape.
    """
    records, shapes = [], {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        where = f"{path}: line {number}"
        record = _parsed(line, where, CorruptInput, "; delete that line")
        if not isinstance(record, dict):
            raise CorruptInput(f"{where}: must be an object, got {_shown(record)}")
        _fields(record, LINE, LINE_LATER, where)
        for name in record.keys() - LINE.keys() - LINE_LATER.keys():
            shape = _shape(record[name], f"{where}: {name}")
            if shapes.setdefault((record["stage"], name), shape) != shape:
                raise CorruptInput(f"{where}: {name}: has shape {shape}, the lines before it differ")
        records.append(record)
    return records


def read_manifest(path: Path) -> dict[str, Any]:
    """MANIFEST.json of a checkpoint: arrays, files with their sizes and hashes, and its own hash."""
    record = _fields(read_object(path), MANIFEST, {}, str(path))
    for name, entry in record["files"].items():
        if not isinstance(entry, dict):
            raise CorruptInput(f"{path}: files.{name}: must be an object, got {_shown(entry)}")
        _fields(entry, {"bytes": int, "sha256": str}, {}, f"{path}: files.{name}")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CorruptInput(f"{path}: files.{name}: lies outside of the checkpoint")
    for number, leaf in enumerate(record["tree"]):
        fine = isinstance(leaf, list) and [type(x) for x in leaf] == [str, list, str]
        if not fine or not all(type(n) is int and n >= 0 for n in leaf[1]):
            raise CorruptInput(f"{path}: tree[{number}]: must be [name, shape, dtype], got {_shown(leaf)}")
    for name, version in record["versions"].items():
        _typed(version, str, f"{path}: versions.{name}")
    return record


def read_object(path: Path, error: type[JaxrlError] = CorruptInput) -> dict[str, Any]:
    """A file that holds one JSON object; `error` for anything else."""
    try:
        data = Path(path).read_bytes()
    except OSError as failure:
        raise error(f"{path}: not readable as JSON ({failure.strerror})") from failure
    value = _parsed(data, str(path), error)
    if not isinstance(value, dict):
        raise error(f"{path}: must hold an object, got {_shown(value)}")
    return value


def check_fields(
    record: dict[str, Any], required: Shape, optional: Shape, where: str, error: type[JaxrlError]
) -> dict[str, Any]:
    """`record`, if it has the required fields and all of those named here have their types."""
    for name in required:
        if name not in record:
            raise error(f"{where}: {name}: missing")
    for name, kind in {**required, **optional}.items():
        if name in record:
            _typed(record[name], kind, f"{where}: {name}", error)
    return record


def metrics_digest(lines: Iterable[Mapping[str, Any]]) -> Digest:
    """The digest of records of metrics.jsonl."""
    found = Digest()
    for line in lines:
        found.add(json.dumps(line, allow_nan=False))
    return found


class Digest:
    """SHA-256 of lines of metrics.jsonl, one after another; independent of the white space of the file."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, line: str) -> None:
        """Counts one line, without its end."""
        self._hash.update(line.encode() + b"\n")

    def read(self) -> str:
        """The digest of all lines so far, hexadecimal."""
        return self._hash.hexdigest()


def _fields(record: dict[str, Any], required: Shape, optional: Shape, where: str) -> dict[str, Any]:
    return check_fields(record, required, optional, where, CorruptInput)


def _typed(value: Any, kind: Any, where: str, error: type[JaxrlError] = CorruptInput) -> None:
    kinds = kind.__args__ if isinstance(kind, types.UnionType) else (kind,)
    fine = type(value) in kinds or (float in kinds and type(value) is int)
    if not fine:
        names = " or ".join(_NAMES[k] for k in kinds)
        raise error(f"{where}: must be {names}, got {_shown(value)}")
    if type(value) is int and where.rpartition(": ")[2] in ("update", "step", "env_steps") and value < 0:
        raise error(f"{where}: must be >= 0, got {value}")


_NAMES = {
    int: "an integer",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    types.NoneType: "null",
}


def _parsed(data: bytes | str, where: str, error: type[JaxrlError], hint: str = "") -> Any:
    try:
        return json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=once)
    except RecursionError as failure:
        raise error(f"{where}: is nested too deeply to be a record of a run") from failure
    except ValueError as failure:
        raise error(f"{where}: not readable as JSON ({failure}){hint}") from failure


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; `ValueError` for a name that it holds twice, of which Python keeps the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"'{twice}' is given twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _shape(value: Any, where: str) -> tuple[int, ...]:
    """Shape of nested lists of numbers and nulls."""
    if value is None or type(value) in (int, float):
        return ()
    if not isinstance(value, list):
        raise CorruptInput(f"{where}: must be numbers, null or lists of them, got {_shown(value)}")
    plain = all(x is None or type(x) is float for x in value)
    shapes = {()} if plain else {_shape(x, where) for x in value}
    if len(shapes) > 1:
        raise CorruptInput(f"{where}: its lists have different lengths")
    return (len(value), *next(iter(shapes), ()))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
