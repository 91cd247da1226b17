"""D4RL files against the episodes that they were written from."""

import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.data import d4rl, minari
from jaxrl.data.dataset import dataset_hash
from jaxrl.data.validate import validate
from tests.data.recordings import EPISODES, LENGTHS, SPACE, cat, flags, same_rows, write_d4rl, write_minari

N = int(LENGTHS.sum())


def d4rl_with(**options):
    def load(tmp_path, **changes):
        return d4rl.load(write_d4rl(tmp_path / "x.hdf5", **changes), **{"action_space": SPACE, **options})

    return load


def put(row, value, shape):
    x = np.zeros(shape, np.float32)
    x[row] = value
    return x


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
}


@pytest.mark.parametrize("name", CASES)
def test_refused_with_file_entry_and_fix(tmp_path, name):
    load, changes, message = CASES[name]
    with pytest.raises(CorruptInput, match=message) as error:
        load(tmp_path, **changes)
    text = str(error.value)
    assert text.startswith(str(tmp_path)) and "\n" not in text and error.value.exit_code == 5


USAGE = {
    "variant": (d4rl_with(variant="old"), {}, "variant: unknown 'old'; known: fixed, official"),
    "both_ends": (
        d4rl_with(both_ends="none"),
        {},
        "both_ends: unknown 'none'; known: refuse, terminated, truncated",
    ),
    "limit of 0": (
        d4rl_with(max_episode_steps=0),
        {"timeouts": None},
        "max_episode_steps: must be >= 1, got 0",
    ),
    "limit of text": (
        d4rl_with(max_episode_steps="200"),
        {},
        "max_episode_steps: must be an int, got '200'",
    ),
    "half a step": (d4rl_with(max_episode_steps=1.5), {}, "max_episode_steps: must be an int, got 1.5"),
    "bytes": (d4rl_with(limit=None), {}, "limit: must be an int, got None"),
    "name": (
        lambda tmp_path: d4rl.time_limit("pendulum-v1"),
        {},
        "name: no time limit is known for 'pendulum-v1'",
    ),
    "file": (lambda tmp_path: d4rl.load(tmp_path / "none.hdf5"), {}, ".*none.hdf5: no such file"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(tmp_path, name):
    load, changes, message = USAGE[name]
    with pytest.raises(UsageError, match="^" + message) as error:
        load(tmp_path, **changes)
    assert error.value.exit_code == 2


def test_an_interrupted_download_is_told_as_such(tmp_path):
    path = write_d4rl(tmp_path / "d.hdf5")
    whole = path.read_bytes()
    for size in (16, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptInput, match=r"delete and fetch again|incomplete or damaged"):
            d4rl.load(path)


def test_d4rl_and_minari_files_of_the_same_episodes_give_identical_containers(tmp_path):
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


def test_an_explicit_limit_cuts_where_timeouts_are_never_set(tmp_path):
    """Rows of several episodes were one episode that bootstraps across their resets."""
    path = write_d4rl(tmp_path / "a.hdf5", timeouts=np.zeros(N, bool))
    whole = d4rl.load(write_d4rl(tmp_path / "b.hdf5"))
    cut = d4rl.load(path, max_episode_steps=6)
    same_rows(cut, whole)
    assert dict(cut.meta)["cut_at_limit"] == 2
    assert dict(d4rl.load(tmp_path / "b.hdf5", max_episode_steps=6).meta)["cut_at_limit"] == 0
    assert int(d4rl.load(path).episode[-1]) == 2


@pytest.mark.parametrize("flag", [bool, np.float32, np.int64])
def test_columns_of_flags_and_rewards(tmp_path, flag):
    columns = {"terminals": flags(True)[:, None].astype(flag), "timeouts": flags(False)[:, None].astype(flag)}
    path = write_d4rl(tmp_path / "a.hdf5", rewards=cat("reward")[:, None], **columns)
    same_rows(d4rl.load(path), d4rl.load(write_d4rl(tmp_path / "b.hdf5")))


def test_rows_in_which_nothing_ends_are_one_truncated_episode(tmp_path):
    nothing = {"terminals": np.zeros(N), "timeouts": np.zeros(N)}
    data = d4rl.load(write_d4rl(tmp_path / "a.hdf5", **nothing))
    np.testing.assert_array_equal(data.truncated, np.arange(N) == N - 1)
    assert int(data.episode[-1]) == 0 and not data.terminated.any()


def test_arrays_beyond_the_limit_are_refused(tmp_path):
    with pytest.raises(
        CorruptInput, match=r"declares \d+ bytes, more than the limit of 100; raise the limit"
    ):
        d4rl.load(write_d4rl(tmp_path / "a.hdf5"), limit=100)


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
