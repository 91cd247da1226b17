"""Generated datasets on disk: made once, verified whenever they are read."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, StorageError
from jaxrl.data import suites
from jaxrl.data.dataset import dataset_hash, from_arrays


@dataclass(frozen=True)
class Recipe:
    rows: int = 4


def made(rows):
    """Two datasets, and how often they were made."""
    calls = []

    def make():
        calls.append(1)
        x = np.arange(rows, dtype=np.float32)
        ends = {"terminated": np.arange(rows) == rows - 1, "truncated": np.zeros(rows, bool)}
        data = from_arrays({"obs": x, "next_obs": x, "action": x, "reward": x} | ends)
        return {"one": data, "two": data.replace(reward=-data.reward)}

    return make, calls


def test_datasets_are_made_together_and_once(tmp_path):
    make, calls = made(4)
    first = suites.cached(("one", "two"), 3, Recipe(), make, tmp_path / "deep" / "folder")
    again = suites.cached(("one", "two"), 3, Recipe(), make, tmp_path / "deep" / "folder")
    assert len(calls) == 1
    for name in ("one", "two"):
        assert dataset_hash(first[name]) == dataset_hash(again[name])
        assert dict(first[name].meta) == {"name": name, "seed": 3}
    np.testing.assert_array_equal(first["two"].reward, -first["one"].reward)


def test_another_seed_or_recipe_is_another_file(tmp_path):
    make, calls = made(4)
    for seed, recipe in ((0, Recipe()), (1, Recipe()), (0, Recipe(5))):
        suites.cached(("one",), seed, recipe, make, tmp_path)
    assert len(calls) == 3 and len(list(tmp_path.glob("one-*.hdf5"))) == 3
    assert suites.path_of("one", 0, Recipe(), tmp_path) != suites.path_of("one", 0, Recipe(5), tmp_path)


def test_damaged_files_are_refused(tmp_path):
    make, calls = made(4)
    suites.cached(("one",), 0, Recipe(), make, tmp_path)
    path = suites.path_of("one", 0, Recipe(), tmp_path)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["recipe"] == {"rows": 4} and set(record["versions"]) == {"jax", "jaxlib", "numpy"}
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptInput, match=r"SHA-256 is .* delete the file and fetch it again"):
        suites.cached(("one",), 0, Recipe(), make, tmp_path)
    path.with_suffix(".json").write_text("[]")
    with pytest.raises(CorruptInput, match=r"has no SHA-256 .* delete it and one-0-"):
        suites.cached(("one",), 0, Recipe(), make, tmp_path)
    path.unlink()
    assert suites.cached(("one",), 0, Recipe(), make, tmp_path)["one"].size == 4 and len(calls) == 2


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="not written"):
        suites.cached(("one",), 0, Recipe(), made(4)[0], tmp_path / "file" / "folder")
