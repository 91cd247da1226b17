"""Recordings in npz files against the episodes that they were written from."""

import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.data import d4rl, npz
from tests.data.recordings import (
    EPISODES,
    LENGTHS,
    SPACE,
    cat,
    same_rows,
    write_d4rl,
    write_imitation,
    write_stable_baselines,
)

N = int(LENGTHS.sum())


OBJECTS = np.array([None] * N, object)


def imitation_with(tmp_path, limit=6, **changes):
    return npz.imitation(write_imitation(tmp_path / "x.npz", **changes), max_episode_steps=limit)


def baselines_with(tmp_path, limit=6, remaining_time=False, **changes):
    path = write_stable_baselines(tmp_path / "x.npz", **changes)
    return npz.stable_baselines(path, max_episode_steps=limit, remaining_time=remaining_time)


def demonstrations_with(tmp_path, **changes):
    arrays = {"observations": np.zeros((N, 3)), "actions": np.zeros((N, 2)), "rewards": np.zeros(N)}
    np.savez(tmp_path / "x.npz", **{**arrays, "lengths": LENGTHS, **changes})
    return npz.demonstrations(tmp_path / "x.npz")


CASES = {
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
def test_refused_with_file_entry_and_fix(tmp_path, name):
    load, changes, message = CASES[name]
    with pytest.raises(CorruptInput, match=message) as error:
        load(tmp_path, **changes)
    text = str(error.value)
    assert text.startswith(str(tmp_path)) and "\n" not in text and error.value.exit_code == 5


@pytest.mark.parametrize("limit", [0, 1.5, "6", None])
def test_a_limit_is_a_number_of_steps(tmp_path, limit):
    for load in (imitation_with, baselines_with):
        with pytest.raises(UsageError, match=r"^max_episode_steps: must be (>= 1|an int), got"):
            load(tmp_path, limit=limit)


def test_unsigned_indices_of_imitation(tmp_path):
    """Of 64 bits beside signed ones they become floats in numpy."""
    same = [
        npz.imitation(
            write_imitation(tmp_path / f"{kind}.npz", indices=np.cumsum(LENGTHS)[:-1].astype(kind)),
            max_episode_steps=6,
        )
        for kind in ("i8", ">u8")
    ]
    same_rows(*same)


def test_an_interrupted_download_is_told_as_such(tmp_path):
    path = write_imitation(tmp_path / "i.npz")
    whole = path.read_bytes()
    for size in (16, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptInput, match=r"delete and fetch again|incomplete or damaged"):
            npz.imitation(path, max_episode_steps=6)


def test_imitation_files_mark_time_limits_as_ends(tmp_path):
    data = npz.imitation(write_imitation(tmp_path / "a.npz"), max_episode_steps=6, action_space=SPACE)
    same_rows(data, d4rl.load(write_d4rl(tmp_path / "b.hdf5"), action_space=SPACE))
    cut = npz.imitation(
        write_imitation(tmp_path / "a.npz", terminal=np.array([1, 0, 0, 1])), max_episode_steps=6
    )
    np.testing.assert_array_equal(np.flatnonzero(cut.truncated), (np.cumsum(LENGTHS) - 1)[1:])


def test_a_single_trajectory_of_imitation(tmp_path):
    """Its `indices` are an empty list, which numpy stores as floats."""
    one = EPISODES[0]
    arrays = {"obs": one["obs"], "acts": one["action"], "rews": one["reward"]}
    np.savez(tmp_path / "a.npz", **arrays, indices=np.cumsum([])[:-1], terminal=np.array([True]))
    data = npz.imitation(tmp_path / "a.npz", max_episode_steps=6)
    np.testing.assert_array_equal(data.next_obs, one["obs"][1:])
    np.testing.assert_array_equal(data.terminated, np.arange(len(one["action"])) == len(one["action"]) - 1)


def test_columns_of_discrete_actions_of_stable_baselines(tmp_path):
    actions = np.arange(N) % 3
    path = write_stable_baselines(tmp_path / "a.npz", actions=actions[:, None].astype(">i4"))
    data = npz.stable_baselines(path, max_episode_steps=6, action_space=Discrete(3))
    flat = npz.stable_baselines(
        write_stable_baselines(tmp_path / "b.npz", actions=actions.astype(np.int32)),
        max_episode_steps=6,
        action_space=Discrete(3),
    )
    same_rows(data, flat)


def test_arrays_beyond_the_limit_are_refused(tmp_path):
    demonstrations_with(tmp_path)
    for load in (
        lambda: npz.imitation(write_imitation(tmp_path / "i.npz"), max_episode_steps=6, limit=100),
        lambda: npz.stable_baselines(
            write_stable_baselines(tmp_path / "s.npz"), max_episode_steps=6, limit=100
        ),
        lambda: npz.demonstrations(tmp_path / "x.npz", limit=100),
    ):
        with pytest.raises(CorruptInput, match=r"more than the limit of 100; raise the limit"):
            load()


def test_stable_baselines_files_connect_no_episodes(tmp_path):
    expected = d4rl.load(write_d4rl(tmp_path / "b.hdf5", next_observations=None))
    starts = npz.stable_baselines(write_stable_baselines(tmp_path / "a.npz"), max_episode_steps=6)
    time = npz.stable_baselines(
        write_stable_baselines(tmp_path / "c.npz", time=True), max_episode_steps=6, remaining_time=True
    )
    same_rows(starts, expected)
    same_rows(time, expected)
    for row in np.flatnonzero(
        ~np.asarray(starts.terminated)
    ):  # the last episode may have been cut by the file
        assert np.linalg.norm(starts.next_obs[row] - starts.obs[row]) < 50


def test_demonstrations(tmp_path):
    arrays = {
        "observations": np.concatenate([e["obs"][:-1] for e in EPISODES]),
        "actions": 1.5 * cat("action"),
        "rewards": cat("reward"),
        "lengths": LENGTHS,
    }
    np.savez(tmp_path / "a.npz", **arrays)
    data = npz.demonstrations(tmp_path / "a.npz", action_space=SPACE)
    # the episode of one step has no transition; the rest lose their last row
    assert data.size == LENGTHS.sum() - 4 and int(data.truncated.sum()) == 3 and not data.terminated.any()
    kept = np.concatenate([1.5 * e["action"][:-1] for e in EPISODES])
    np.testing.assert_allclose(data.action, np.clip(kept, -1 + 1e-5, 1 - 1e-5), rtol=0, atol=1e-7)
    assert dict(data.meta)["actions_outside"] == (np.abs(kept) > 1 + 1e-6).any(1).sum() > 0
