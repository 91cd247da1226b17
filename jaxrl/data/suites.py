"""Generated datasets on disk: made once from a recipe and a seed, and verified whenever they are read.

A file is named after the dataset, the seed and a hash of the recipe: another recipe makes another file. A
JSON file beside it holds its SHA-256, the versions that made it, and the recipe.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxrl.core.errors import CorruptInput, StorageError
from jaxrl.core.files import atomic
from jaxrl.data import store
from jaxrl.data.dataset import Dataset

_LIBRARIES = ("jax", "jaxlib", "numpy")


def path_of(name: str, seed: int, recipe: Any, folder: Path | str) -> Path:
    """The file of the dataset `name` of this seed and recipe, a dataclass of numbers and names."""
    text = json.dumps([type(recipe).__name__, dataclasses.asdict(recipe)], sort_keys=True)
    return Path(folder) / f"{name}-{seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.hdf5"


def cached(
    names: tuple[str, ...],
    seed: int,
    recipe: Any,
    make: Callable[[], dict[str, Dataset]],
    folder: Path | str,
) -> dict[str, Dataset]:
    """The datasets called `names`, which `make` makes together where one of them is not in `folder` yet.

    Their metadata gain `name` and `seed`. Raises `CorruptInput` for a file that is not what was written, and
    `StorageError` where nothing can be written.
    """
    paths = {name: path_of(name, seed, recipe, folder) for name in names}
    if not all(path.is_file() and _record(path).is_file() for path in paths.values()):
        made = make()
        for name, path in paths.items():
            data = made[name].replace(meta=(("name", name), ("seed", seed), *made[name].meta))
            _write(path, data, recipe)
    return {name: store.load(path, _digest(path)) for name, path in paths.items()}


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _write(path: Path, data: Dataset, recipe: Any) -> None:
    facts = {
        "recipe": dataclasses.asdict(recipe),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        facts["sha256"] = store.save(data, path)
        with atomic(_record(path)) as temporary:
            temporary.write_text(json.dumps(facts, indent=1))
    except OSError as error:
        raise StorageError(f"{path}: not written ({error}); free space or choose another folder") from error


def _digest(path: Path) -> str:
    try:
        return str(json.loads(_record(path).read_text())["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptInput(f"{_record(path)}: has no SHA-256 ({error}); delete it and {path.name}") from error
