"""Minari files against the episodes that they were written from."""

import h5py
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.data import minari
from tests.data.recordings import (
    EPISODES,
    flags,
    write_minari,
)


def minari_with(change):
    """`change(arrays)` of episode 1."""
    return lambda tmp_path: minari.load(
        write_minari(tmp_path / "x", change=lambda i, arrays: change(arrays) if i == 1 else None)
    )


CASES = {
    "missing": (minari_with(lambda a: a.pop("rewards")), {}, "episode_1 has no rewards"),
    "lengths": (
        minari_with(lambda a: a.update(observations=a["observations"][:-1])),
        {},
        "episode_1: observations has 6 rows, expected 7",
    ),
    "inner end": (
        minari_with(lambda a: a.update(terminations=np.arange(6) == 2)),
        {},
        "episode_1 ends in row 2 and goes on to row 5",
    ),
    "structure": (
        minari_with(lambda a: a.update({"observations/a": a.pop("observations")})),
        {},
        "episodes differ in structure",
    ),
    "width": (
        minari_with(lambda a: a.update(actions=np.zeros((6, 3)))),
        {},
        "episodes differ in the shape of their rows",
    ),
    "nan": (
        minari_with(lambda a: a.update(rewards=np.full(6, np.nan))),
        {},
        "episode_1: rewards in row 0 is not finite",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_with_file_entry_and_fix(tmp_path, name):
    load, changes, message = CASES[name]
    with pytest.raises(CorruptInput, match=message) as error:
        load(tmp_path, **changes)
    text = str(error.value)
    assert text.startswith(str(tmp_path)) and "\n" not in text and error.value.exit_code == 5


def test_a_folder_without_the_file(tmp_path):
    with pytest.raises(UsageError, match=r"main_data.hdf5: no such file"):
        minari.load(tmp_path)


def test_an_interrupted_download_is_told_as_such(tmp_path):
    path = write_minari(tmp_path / "m") / "data" / "main_data.hdf5"
    whole = path.read_bytes()
    for size in (16, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptInput, match=r"delete and fetch again|incomplete or damaged"):
            minari.load(path)


def test_metadata_that_is_no_json(tmp_path):
    folder = write_minari(tmp_path / "m")
    (folder / "data" / "metadata.json").write_text("{")
    with pytest.raises(CorruptInput, match=r"metadata.json: is not the metadata of a Minari dataset"):
        minari.load(folder)
    with h5py.File(tmp_path / "empty.hdf5", "w") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(CorruptInput, match="has no group 'episode_0'"):
        minari.load(tmp_path / "empty.hdf5")


def test_dicts_tuples_and_both_flags(tmp_path):
    def nest(number, arrays):
        obs = arrays.pop("observations")
        arrays["observations/goal"] = obs[:, :1]
        for i in range(11):  # more than ten, so that names do not sort like numbers
            arrays[f"observations/parts/_index_{i}"] = obs[:, 1:] + i
        arrays["actions"] = np.arange(len(arrays["actions"])) % 3
        arrays["truncations"][-1] = True
        arrays["infos/note"] = "text"

    data = minari.load(write_minari(tmp_path / "a", change=nest), action_space=Discrete(3))
    obs = np.concatenate([e["obs"][:-1] for e in EPISODES])
    np.testing.assert_array_equal(data.obs["goal"], obs[:, :1])
    assert len(data.obs["parts"]) == 11
    for i in (0, 2, 10):
        np.testing.assert_allclose(data.obs["parts"][i], obs[:, 1:] + i, rtol=1e-6)
    np.testing.assert_array_equal(data.terminated, flags(True))
    np.testing.assert_array_equal(data.truncated, flags(False))


def mission(number, arrays):
    obs = arrays.pop("observations")
    arrays["observations/image"] = (10 * np.abs(obs)).astype(">u2")
    arrays["observations/mission"] = ["go to the door"] * len(obs)


def test_texts_are_named_and_can_be_left_out(tmp_path):
    folder = write_minari(tmp_path / "a", change=mission)
    with pytest.raises(
        UsageError, match=r"episode_0/observations/mission' is of type object; .* leave_out=\('mission',\)"
    ):
        minari.load(folder)
    data = minari.load(folder, leave_out=("mission",))
    assert list(data.obs) == ["image"] and data.obs["image"].dtype == np.uint16
    expected = np.concatenate([(10 * np.abs(e["obs"][:-1])).astype(np.uint16) for e in EPISODES])
    np.testing.assert_array_equal(data.obs["image"], expected)
    with pytest.raises(UsageError, match=r"leave_out: .* has no observation 'text'; give its path as stored"):
        minari.load(folder, leave_out=("mission", "text"))


def test_the_arrow_format_is_named(tmp_path):
    (tmp_path / "data" / "0").mkdir(parents=True)
    (tmp_path / "data" / "0" / "part.arrow").write_bytes(b"ARROW1")
    with pytest.raises(
        UsageError, match=r"is in Minari's arrow format, which is not read; create the dataset"
    ):
        minari.load(tmp_path)


def test_arrays_beyond_the_limit_are_refused(tmp_path):
    with pytest.raises(CorruptInput, match=r"more than the limit of 100; raise the limit"):
        minari.load(write_minari(tmp_path / "a"), limit=100)
