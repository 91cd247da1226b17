"""Foreign formats against the episodes that the files were written from."""

import jax
import numpy as np
import pytest

from jaxrl.core.spaces import Box, Discrete
from jaxrl.data import d4rl, minari, npz
from jaxrl.data.dataset import dataset_hash
from jaxrl.data.validate import validate
from tests.data.recordings import (
    EPISODES,
    LENGTHS,
    SPACE,
    cat,
    flags,
    write_d4rl,
    write_imitation,
    write_minari,
    write_stable_baselines,
)


def same_rows(one, two):
    one, two = one.replace(meta=()), two.replace(meta=())
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_d4rl_and_minari_files_of_the_same_episodes_give_identical_containers(tmp_path):
    """Spec check D2."""
    one = d4rl.load(write_d4rl(tmp_path / "a.hdf5"), action_space=SPACE)
    two = minari.load(write_minari(tmp_path / "b"), action_space=SPACE)
    same_rows(one, two)
    same_rows(two, minari.load(tmp_path / "b" / "data" / "main_data.hdf5", action_space=SPACE))
    assert dataset_hash(one) != dataset_hash(two)  # the hash is of rows and metadata
    assert dataset_hash(one.replace(meta=())) == dataset_hash(two.replace(meta=()))
    ends = np.cumsum(LENGTHS) - 1
    np.testing.assert_array_equal(np.flatnonzero(one.terminated), ends[[0, 2]])
    np.testing.assert_array_equal(np.flatnonzero(one.truncated), ends[[1, 3]])
    np.testing.assert_array_equal(one.next_obs, np.concatenate([e["obs"][1:] for e in EPISODES]))
    np.testing.assert_array_equal(one.step, np.concatenate([np.arange(t) for t in LENGTHS]))
    meta = dict(two.meta)
    assert (meta["ref_random"], meta["ref_expert"], meta["episodes"]) == (-3.0, 5.0, 4)
    assert "ref_random" not in dict(minari.load(write_minari(tmp_path / "c", references=False)).meta)


def test_missing_timeouts_are_cut_at_the_time_limit(tmp_path):
    whole = d4rl.load(write_d4rl(tmp_path / "a.hdf5"))
    cut = d4rl.load(write_d4rl(tmp_path / "b.hdf5", timeouts=None), max_episode_steps=6)
    same_rows(whole, cut)


def test_without_successors_no_row_connects_two_episodes(tmp_path):
    """Rows at a time limit are dropped, so that the row before them is the truncated one."""
    data = d4rl.load(write_d4rl(tmp_path / "a.hdf5", next_observations=None))
    expected = [
        (
            e["obs"][i],
            e["obs"][i] if e["terminated"] and i == t - 1 else e["obs"][i + 1],
            i,
            t,
            e["terminated"],
        )
        for e, t in zip(EPISODES, LENGTHS, strict=True)
        for i in range(t if e["terminated"] else t - 1)
    ]
    assert data.size == len(expected) == LENGTHS.sum() - 2
    for row, (obs, next_obs, i, t, terminated) in enumerate(expected):
        np.testing.assert_array_equal(data.obs[row], obs)
        np.testing.assert_array_equal(data.next_obs[row], next_obs)
        assert data.step[row] == i
        assert bool(data.terminated[row]) == (terminated and i == t - 1)
        assert bool(data.truncated[row]) == (not terminated and i == t - 2)
    assert validate(data, SPACE).clean


def test_an_unfinished_last_episode_loses_its_last_row_without_successors(tmp_path):
    timeouts = flags(False)
    timeouts[-1] = False
    marked = d4rl.load(write_d4rl(tmp_path / "a.hdf5", next_observations=None))
    cut = d4rl.load(write_d4rl(tmp_path / "b.hdf5", next_observations=None, timeouts=timeouts))
    same_rows(marked, cut)


def test_official_variant_is_the_loop_of_the_reference_implementation(tmp_path):
    """`qlearning_dataset` with `terminate_on_end=False`, as its published description says."""
    path = write_d4rl(tmp_path / "a.hdf5")
    obs = np.concatenate([e["obs"][:-1] for e in EPISODES])
    terminals, timeouts = flags(True), flags(False)
    rows = [i for i in range(len(obs) - 1) if not timeouts[i]]
    data = d4rl.load(path, variant="official")
    np.testing.assert_array_equal(data.obs, obs[rows])
    np.testing.assert_array_equal(data.next_obs, obs[[i + 1 for i in rows]])
    np.testing.assert_array_equal(data.terminated, terminals[rows])
    assert not np.asarray(data.truncated & data.terminated).any()
    # quirk (a): the first 9 transitions are 4 + 5 of episode 1 without its last step
    assert int(data.episode[8]) == 1 and int(data.step[8]) == 4 and bool(data.truncated[8])


def test_a_row_with_both_ends_needs_a_choice(tmp_path):
    both = flags(False)
    both[3] = True
    path = write_d4rl(tmp_path / "a.hdf5", timeouts=both)
    assert d4rl.load(path, both_ends="terminated").terminated[3]
    assert d4rl.load(path, both_ends="truncated").truncated[3]


def test_time_limits():
    names = ["hopper-medium-v2", "antmaze-umaze-diverse-v0", "antmaze-large-play-v0", "ant-random-v2",
             "pen-human-v0", "maze2d-large-v1"]  # fmt: skip
    assert [d4rl.time_limit(name) for name in names] == [1000, 700, 1000, 1000, 100, 800]


def test_minari_dicts_tuples_and_both_flags(tmp_path):
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


def test_imitation_files_mark_time_limits_as_ends(tmp_path):
    data = npz.imitation(write_imitation(tmp_path / "a.npz"), max_episode_steps=6, action_space=SPACE)
    same_rows(data, d4rl.load(write_d4rl(tmp_path / "b.hdf5"), action_space=SPACE))
    cut = npz.imitation(
        write_imitation(tmp_path / "a.npz", terminal=np.array([1, 0, 0, 1])), max_episode_steps=6
    )
    np.testing.assert_array_equal(np.flatnonzero(cut.truncated), (np.cumsum(LENGTHS) - 1)[1:])


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


@pytest.mark.parametrize("space", [Box((-2.0, 0.0), (2.0, 4.0), (2,)), Box(-float("inf"), 3.0, (2,))])
def test_actions_stay_inside_the_space(tmp_path, space):
    path = write_d4rl(tmp_path / "a.hdf5")
    data = d4rl.load(path, action_space=space)
    low, high = (np.broadcast_to(b, 2) for b in (space.low, space.high))
    half = np.where(np.isfinite(high - low), (high - low) / 2, 0)
    action = np.asarray(data.action, np.float64)
    np.testing.assert_allclose(
        action, np.clip(cat("action"), low + 1e-5 * half, high - 1e-5 * half), atol=1e-6
    )
    assert (action > low).all() and (action < high).all()
