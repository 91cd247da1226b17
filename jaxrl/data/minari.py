"""Minari files (format 0.5): HDF5 with one group per episode and one more observation than steps."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import jax
import numpy as np

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Space
from jaxrl.core.types import PyTree
from jaxrl.data import safe
from jaxrl.data.dataset import Dataset, Meta, as_flags
from jaxrl.data.foreign import check_rows, finish

_PARTS = ("observations", "actions", "rewards", "terminations", "truncations")
_EPISODE = re.compile(r"episode_(\d+)")
_ITEM = re.compile(r"_index_(\d+)")


def load(
    path: Path | str,
    *,
    action_space: Space | None = None,
    leave_out: Collection[str] = (),
    limit: int = safe.LIMIT,
) -> Dataset:
    """The `Dataset` of a Minari dataset: its folder, or its `main_data.hdf5`.

    Dicts of observations stay dicts, tuples stay tuples. An episode without an end counts as truncated; where
    the last step has both flags it terminated, as gymnasium means it. `ref_min_score` and `ref_max_score` of
    `metadata.json`, where they exist, become `ref_random` and `ref_expert` of the metadata.

    leave_out: entries of the observation that are not to be read, by their path, e.g. `("mission",)` for the
        texts of BabyAI. limit: bytes of all arrays together.

    Raises `CorruptInput` for files that are damaged or not of this format, and `UsageError` for datasets in
    Minari's arrow format, texts that `leave_out` does not name, and names that the file does not have.
    """
    path = Path(path)
    file = path / "data" / "main_data.hdf5" if path.is_dir() else path
    _refuse_arrow(path)
    arrays = _read(file, leave_out, limit)
    names: dict[int, list[str]] = {}
    for name in arrays:
        names.setdefault(int(name.partition("/")[0].removeprefix("episode_")), []).append(name)
    if not names:
        raise CorruptInput(f"{file}: has no group 'episode_0'; give the main_data.hdf5 of a Minari dataset")
    episodes = [_episode(file, number, names[number], arrays) for number in sorted(names)]
    structures = {str(jax.tree.structure(e)) for e in episodes}
    if len(structures) > 1:
        raise CorruptInput(f"{file}: episodes differ in structure: {' and '.join(sorted(structures))}")
    try:
        fields = jax.tree.map(lambda *x: np.concatenate(x), *episodes)
    except ValueError as error:
        raise CorruptInput(f"{file}: episodes differ in the shape of their rows ({error})") from error
    meta = (("format", "minari"), ("episodes", len(episodes)), *_references(file))
    return finish(fields, file, action_space, meta)


def _refuse_arrow(path: Path) -> None:
    folder = path / "data" if path.is_dir() else path.parent
    if path.suffix == ".arrow" or (path.is_dir() and any(folder.rglob("*.arrow"))):
        raise UsageError(
            f"{path}: is in Minari's arrow format, which is not read; create the dataset with "
            "data_format='hdf5'"
        )


def _read(file: Path, leave_out: Collection[str], limit: int) -> dict[str, np.ndarray]:
    """The arrays of all episodes by their path, in one pass over the file."""
    unused = set(leave_out)

    def wanted(name: str) -> bool:
        group, *rest = name.split("/")
        if not (_EPISODE.fullmatch(group) and rest and rest[0] in _PARTS):
            return False
        above = {"/".join(rest[1:end]) for end in range(2, len(rest) + 1)} & set(leave_out)
        unused.difference_update(above)
        return rest[0] != "observations" or not above

    try:
        arrays = safe.read_hdf5(file, wanted, limit)
    except safe.NoNumbers as error:
        _, _, entry = error.name.partition("/observations/")
        if not entry:
            raise
        raise UsageError(f"{error}; leave it out: leave_out=({entry!r},)") from error
    if unused:
        raise UsageError(f"leave_out: {file} has no observation {min(unused)!r}; give its path as stored")
    return arrays


def _episode(
    file: Path, number: int, names: Iterable[str], arrays: dict[str, np.ndarray]
) -> dict[str, PyTree]:
    where = f"{file}: episode_{number}"
    own = {name.split("/", 1)[1]: arrays[name] for name in names}
    parts = {part: _nested(own, part) for part in _PARTS}
    if missing := [part for part in _PARTS if parts[part] is None]:
        raise CorruptInput(f"{where} has no {missing[0]}; give the main_data.hdf5 of a Minari dataset")
    obs = parts.pop("observations")
    steps = check_rows(where, {k: v for k, v in own.items() if not k.startswith("observations")})
    check_rows(where, {k: v for k, v in own.items() if k.startswith("observations")}, steps + 1)
    terminated, truncated = (as_flags(where, name, parts[name]) for name in _PARTS[3:])
    if (terminated | truncated)[:-1].any():
        row = np.flatnonzero(terminated | truncated)[0]
        raise CorruptInput(f"{where} ends in row {row} and goes on to row {steps - 1}; fetch the file again")
    truncated[-1] = not terminated[-1]
    return {
        "obs": jax.tree.map(lambda x: x[:-1], obs),
        "next_obs": jax.tree.map(lambda x: x[1:], obs),
        "action": parts["actions"],
        "reward": parts["rewards"],
        "terminated": terminated,
        "truncated": truncated,
    }


def _nested(arrays: dict[str, np.ndarray], part: str) -> PyTree:
    """The array called `part`, or the dict or tuple of those below it; None where there is nothing."""
    if part in arrays:
        return arrays[part]
    names = [name[len(part) + 1 :] for name in arrays if name.startswith(part + "/")]
    heads = sorted({name.split("/")[0] for name in names})
    if not heads:
        return None
    children = {head: _nested(arrays, f"{part}/{head}") for head in heads}
    numbers = [_ITEM.fullmatch(head) for head in heads]
    if all(numbers):
        order = sorted((int(m[1]), m[0]) for m in numbers if m)
        return tuple(children[head] for _, head in order)
    return children


def _references(file: Path) -> Meta:
    path = file.parent / "metadata.json"
    if not path.is_file():
        return ()
    try:
        content = json.loads(path.read_text())
        known = (("ref_min_score", "ref_random"), ("ref_max_score", "ref_expert"))
        return tuple((ours, float(content[theirs])) for theirs, ours in known if theirs in content)
    except (ValueError, TypeError, OSError) as error:
        raise CorruptInput(f"{path}: is not the metadata of a Minari dataset ({error})") from error
