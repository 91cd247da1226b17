"""Foreign files that are damaged, incomplete or of another format: one sentence with file, entry and fix."""

import h5py
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.data import d4rl, minari, npz, snapshots
from tests.data.recordings import (
    LENGTHS,
    SPACE,
    flags,
    write_d4rl,
    write_imitation,
    write_minari,
    write_stable_baselines,
)

N = int(LENGTHS.sum())


def d4rl_with(**options):
    def load(tmp_path, **changes):
        return d4rl.load(write_d4rl(tmp_path / "x.hdf5", **changes), **{"action_space": SPACE, **options})

    return load


def imitation_with(tmp_path, limit=6, **changes):
    return npz.imitation(write_imitation(tmp_path / "x.npz", **changes), max_episode_steps=limit)


def baselines_with(tmp_path, limit=6, remaining_time=False, **changes):
    path = write_stable_baselines(tmp_path / "x.npz", **changes)
    return npz.stable_baselines(path, max_episode_steps=limit, remaining_time=remaining_time)


def demonstrations_with(tmp_path, **changes):
    arrays = {"observations": np.zeros((N, 3)), "actions": np.zeros((N, 2)), "rewards": np.zeros(N)}
    np.savez(tmp_path / "x.npz", **{**arrays, "lengths": LENGTHS, **changes})
    return npz.demonstrations(tmp_path / "x.npz")


def minari_with(change):
    """`change(arrays)` of episode 1."""
    return lambda tmp_path: minari.load(
        write_minari(tmp_path / "x", change=lambda i, arrays: change(arrays) if i == 1 else None)
    )


def put(row, value, shape):
    x = np.zeros(shape, np.float32)
    x[row] = value
    return x


OBJECTS = np.array([None] * N, object)
CASES = {
    "missing": (d4rl_with(), {"rewards": None}, "has no array 'rewards'; it has actions"),
    "lengths": (d4rl_with(), {"rewards": np.zeros(N - 1)}, f"rewards has {N - 1} rows, expected {N}"),
    "scalar": (d4rl_with(), {"rewards": np.float32(1)}, "rewards is a single number"),
    "empty": (
        d4rl_with(),
        {
            name: np.zeros((0, *shape))
            for name, shape in (
                ("observations", (3,)),
                ("next_observations", (3,)),
                ("actions", (2,)),
                ("rewards", ()),
                ("terminals", ()),
                ("timeouts", ()),
            )
        },
        "has no rows; give at least one transition",
    ),
    "nan": (d4rl_with(), {"observations": put(5, np.nan, (N, 3))}, "observations in row 5 is not finite"),
    "nan after dropped rows": (
        d4rl_with(),
        {"observations": put(9, np.nan, (N, 3)), "next_observations": None},
        "observations in row 9 is not finite",
    ),
    "nan reward": (d4rl_with(), {"rewards": put(2, np.inf, N)}, "rewards in row 2 is not finite"),
    "text": (d4rl_with(), {"rewards": "none"}, "'rewards' is of type object"),
    "reward shape": (d4rl_with(), {"rewards": np.zeros((N, 1))}, r"reward has shape \(17, 1\)"),
    "action shape": (d4rl_with(), {"actions": np.zeros((N, 3))}, r"action has shape \(3,\)"),
    "action type": (d4rl_with(action_space=Discrete(2)), {"actions": np.zeros(N)}, "action has type float32"),
    "action range": (
        d4rl_with(action_space=Discrete(2)),
        {"actions": np.full(N, 2)},
        r"action in row 0 lies outside \[0, 1\]",
    ),
    "successor shape": (
        d4rl_with(),
        {"next_observations": np.zeros((N, 4))},
        "next_obs is .* make them equal",
    ),
    "flags": (d4rl_with(), {"terminals": np.full(N, 3)}, "terminals in row 0 is neither 0 nor 1"),
    "no time limits": (d4rl_with(), {"timeouts": None}, r"timeouts is missing; give max_episode_steps"),
    "both ends": (d4rl_with(), {"timeouts": flags(True)}, "terminals in row 3 is set together with timeouts"),
    "no ends": (d4rl_with(), {"terminals": np.zeros(N), "timeouts": np.zeros(N)}, "never set"),
    "minari missing": (minari_with(lambda a: a.pop("rewards")), {}, "episode_1 has no rewards"),
    "minari lengths": (
        minari_with(lambda a: a.update(observations=a["observations"][:-1])),
        {},
        "episode_1: observations has 6 rows, expected 7",
    ),
    "minari inner end": (
        minari_with(lambda a: a.update(terminations=np.arange(6) == 2)),
        {},
        "episode_1 ends in row 2 and goes on to row 5",
    ),
    "minari structure": (
        minari_with(lambda a: a.update({"observations/a": a.pop("observations")})),
        {},
        "episodes differ in structure",
    ),
    "minari width": (
        minari_with(lambda a: a.update(actions=np.zeros((6, 3)))),
        {},
        "episodes differ in the shape of their rows",
    ),
    "minari nan": (
        minari_with(lambda a: a.update(rewards=np.full(6, np.nan))),
        {},
        "episode_1: rewards in row 0 is not finite",
    ),
    "imitation objects": (imitation_with, {"acts": OBJECTS}, "'acts' is of type object"),
    "imitation obs": (imitation_with, {"obs": np.zeros((N, 3))}, f"obs has {N} rows, expected {N + 4}"),
    "imitation indices": (imitation_with, {"indices": np.array([4, 3, 11])}, "indices must be increasing"),
    "imitation beyond": (imitation_with, {"indices": np.array([4, 10, N])}, "indices must be increasing"),
    "imitation terminal": (imitation_with, {"terminal": np.ones(3)}, "terminal has 3 rows, expected 4"),
    "imitation limit": (imitation_with, {"limit": 5}, "episode 1 has 6 steps, more than max_episode_steps 5"),
    "imitation missing": (imitation_with, {"indices": None}, "has no array 'indices'; it has acts"),
    "baselines starts": (
        baselines_with,
        {"episode_starts": np.array([None], object)},
        "'episode_starts' is of type object",
    ),
    "baselines column": (
        baselines_with,
        {"obs": np.zeros((N, 1)), "remaining_time": True},
        "so it has no column of remaining time",
    ),
    "baselines rows": (
        baselines_with,
        {"actions": np.zeros((N + 1, 2))},
        f"actions has {N + 1} rows, expected {N}",
    ),
    "demonstrations": (demonstrations_with, {"lengths": LENGTHS[:-1]}, f"add up to the {N} rows"),
    "demonstrations 0": (demonstrations_with, {"lengths": np.append(LENGTHS, 0)}, "lengths must be positive"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(tmp_path, name):
    load, changes, message = CASES[name]
    with pytest.raises(CorruptInput, match=message) as error:
        load(tmp_path, **changes)
    text = str(error.value)
    assert text.startswith(str(tmp_path)) and "\n" not in text and error.value.exit_code == 5


def test_the_controls_load(tmp_path):
    for i, load in enumerate((d4rl_with(), imitation_with, baselines_with, demonstrations_with)):
        (tmp_path / str(i)).mkdir()
        load(tmp_path / str(i))
    minari_with(lambda arrays: None)(tmp_path)


USAGE = {
    "variant": (d4rl_with(variant="old"), {}, "variant: unknown 'old'; known: fixed, official"),
    "both_ends": (
        d4rl_with(both_ends="none"),
        {},
        "both_ends: unknown 'none'; known: refuse, terminated, truncated",
    ),
    "limit": (imitation_with, {"limit": 0}, "max_episode_steps: must be >= 1, got 0"),
    "cut": (d4rl_with(max_episode_steps=0), {"timeouts": None}, "max_episode_steps: must be >= 1, got 0"),
    "name": (
        lambda tmp_path: d4rl.time_limit("pendulum-v1"),
        {},
        "name: no time limit is known for 'pendulum-v1'",
    ),
    "file": (lambda tmp_path: d4rl.load(tmp_path / "none.hdf5"), {}, ".*none.hdf5: no such file"),
    "folder": (lambda tmp_path: minari.load(tmp_path), {}, ".*main_data.hdf5: no such file"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(tmp_path, name):
    load, changes, message = USAGE[name]
    with pytest.raises(UsageError, match="^" + message) as error:
        load(tmp_path, **changes)
    assert error.value.exit_code == 2


def test_truncated_files(tmp_path):
    minari_file = write_minari(tmp_path / "m") / "data" / "main_data.hdf5"
    loaders = {
        write_d4rl(tmp_path / "d.hdf5"): d4rl.load,
        minari_file: minari.load,
        write_imitation(tmp_path / "i.npz"): lambda p: npz.imitation(p, max_episode_steps=6),
        write_stable_baselines(tmp_path / "s.npz"): lambda p: npz.stable_baselines(p, max_episode_steps=6),
        write_d4rl(tmp_path / "t.h5"): snapshots.read,
    }
    for path, load in loaders.items():
        whole = path.read_bytes()
        for size in (16, len(whole) // 2, len(whole) - 100):
            path.write_bytes(whole[:size])
            with pytest.raises(CorruptInput, match=r"delete and fetch again|incomplete or damaged"):
                load(path)


def test_minari_metadata_that_is_no_json(tmp_path):
    folder = write_minari(tmp_path / "m")
    (folder / "data" / "metadata.json").write_text("{")
    with pytest.raises(CorruptInput, match=r"metadata.json: is not the metadata of a Minari dataset"):
        minari.load(folder)
    with h5py.File(tmp_path / "empty.hdf5", "w") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(CorruptInput, match="has no group 'episode_0'"):
        minari.load(tmp_path / "empty.hdf5")
