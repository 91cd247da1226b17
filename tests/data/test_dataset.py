"""Dataset: counting, sampling, occupancies, hashes; against Python loops."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.data.dataset import _draw, dataset_hash, from_arrays, from_occupancy

KEY = jax.random.key(0)


def arrays(n=10, terminated=(3,), truncated=(6,), **changes):
    """Row i has obs (i, -i); episodes 0-3, 4-6, 7-9."""
    x = np.arange(n, dtype=np.float64)
    obs = np.stack([x, -x], axis=1)
    out = {
        "obs": obs,
        "action": np.zeros((n, 1)),
        "reward": x,
        "next_obs": obs + 1,
        "terminated": np.isin(x, terminated),
        "truncated": np.isin(x, truncated),
    }
    return out | changes


def test_rows_are_counted():
    data = from_arrays(arrays(), action_space=Box(-1.0, 1.0, (1,)), meta=(("name", "toy"), ("steps", 10)))
    np.testing.assert_array_equal(data.episode, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(data.step, [0, 1, 2, 3, 0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(np.flatnonzero(data.terminated), [3])
    np.testing.assert_array_equal(np.flatnonzero(data.truncated), [6, 9])  # the last episode has no end
    assert {str(x.dtype) for x in jax.tree.leaves(data)} == {"float32", "int32", "bool"}
    assert data.size == 10 and dict(data.meta)["name"] == "toy"


def test_missing_time_limits_are_cut_by_length():
    given = arrays(terminated=(3,))
    del given["truncated"]
    data = from_arrays(given, max_episode_steps=3)
    np.testing.assert_array_equal(np.flatnonzero(data.truncated), [2, 6, 9])
    np.testing.assert_array_equal(data.step, [0, 1, 2, 0, 0, 1, 2, 0, 1, 2])
    same = from_arrays(given, max_episode_steps=4)  # the end of row 3 is the MDP's own, at the limit or not
    np.testing.assert_array_equal(np.flatnonzero(same.truncated), [7, 9])


def test_nested_observations_vector_rewards_and_discrete_actions():
    x = np.arange(4)
    data = from_arrays(
        arrays(
            4,
            obs={"position": x[:, None] * 1.0, "pixels": np.zeros((4, 2, 2), np.uint8)},
            next_obs={"position": x[:, None] * 1.0, "pixels": np.zeros((4, 2, 2), np.uint8)},
            reward=np.ones((4, 2)),
            action=x.astype(np.int64),
            is_expert=np.asarray([1, 0, 0, 1]),
        ),
        action_space=Discrete(4),
        reward_dim=2,
    )
    assert data.obs["pixels"].dtype == jnp.uint8 and data.action.dtype == jnp.int32
    assert data.reward.shape == (4, 2) and data.is_expert.dtype == bool


def frequencies(rows, n):
    return np.bincount(np.asarray(rows).astype(int).ravel(), minlength=n) / np.asarray(rows).size


def assert_distribution(rows, expected):
    """Each frequency within 4.5 standard errors."""
    expected = np.asarray(expected)
    error = 4.5 * np.sqrt(expected * (1 - expected) / np.asarray(rows).size)
    assert (np.abs(frequencies(rows, len(expected)) - expected) <= error + 1e-12).all()


def test_sample_is_uniform_and_data_is_an_argument():
    data = from_arrays(arrays())
    traces = []

    @jax.jit
    def draw(data, key):
        traces.append(1)
        return data.sample(key, 5000)

    rows = draw(data, KEY)
    assert_distribution(rows.reward, np.full(10, 0.1))
    np.testing.assert_array_equal(rows.obs[:, 0], rows.reward)
    other = draw(data.replace(reward=data.reward + 100), KEY)
    np.testing.assert_array_equal(other.reward, rows.reward + 100)
    assert len(traces) == 1


def test_sample_follows_the_mask():
    data = from_arrays(arrays())
    padded = data.replace(mask=jnp.arange(10) % 2 == 0)
    assert_distribution(padded.sample(KEY, 5000).reward, [0.2, 0] * 5)
    weight = np.arange(10.0) / 45
    assert_distribution(data.replace(mask=jnp.asarray(weight, jnp.float32)).sample(KEY, 5000).reward, weight)


def test_small_weights_behind_large_ones_are_drawn():
    """One row has half of all weight; the running float32 sum of the others would not grow."""
    n = 70_000
    obs = np.arange(n, dtype=np.float32)
    ends = {"terminated": np.ones(n, bool), "truncated": np.zeros(n, bool)}
    data = from_arrays({"obs": obs, "next_obs": obs, "action": obs, "reward": obs} | ends)
    weights = np.ones(n, np.float32)
    weights[0], weights[1:] = 2.0**26, 2.0**26 / (n - 1)
    weights[n // 2 :] *= 1e-3
    weights[5] = 0
    drawn = np.asarray(data.replace(mask=jnp.asarray(weights)).sample(KEY, 200_000).obs).astype(int)
    share = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    for rows in (slice(0, 1), slice(1, n // 2), slice(n // 2, n), slice(n - 20_000, n)):
        p = share[rows].sum()
        found = ((drawn >= rows.start) & (drawn < rows.stop)).mean()
        assert abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / len(drawn))
    assert not (drawn == 5).any()


def test_tiny_weights_beside_each_other():
    """A total of 2^24 ones is where float32 stops counting; the last rows are drawn as often as the first."""
    index = _draw(KEY, 100_000, jnp.ones(2**25, jnp.float32))
    counts = np.histogram(index, bins=16, range=(0, 2**25))[0]
    assert ((counts - 6250) ** 2 / 6250).sum() < 45  # chi-square of 15 degrees, false alarm 1e-4
    assert len(np.unique(np.asarray(index) % 2)) == 2


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros(10, np.float32), "is zero in every row"),
        (np.zeros(10, bool), "is zero in every row"),
        (np.where(np.arange(10) == 3, np.nan, 1).astype(np.float32), "is nan in row 3"),
        (np.where(np.arange(10) == 4, -1, 1).astype(np.float32), "is -1.0 in row 4"),
    ],
)
def test_weights_from_which_nothing_can_be_drawn(mask, message):
    with pytest.raises(UsageError, match=rf"^Dataset\.mask: {message}"):
        from_arrays(arrays()).replace(mask=jnp.asarray(mask)).sample(KEY, 2)


def test_occupancy_gives_exact_expectations():
    """Weighted sums equal the double loop over the table; draws follow the weights."""
    rng = np.random.default_rng(0)
    kernel, reward = rng.dirichlet(np.ones(4), (4, 2)), rng.normal(size=(4, 2, 4))
    kernel[0, 1] = [0, 0.5, 0, 0.5]
    occupancy = rng.dirichlet(np.ones(8)).reshape(4, 2)
    mdp = SimpleNamespace(
        P=kernel, R=reward, terminal=np.asarray([0, 0, 0, 1], bool), reward_on_successor=True
    )
    data = from_occupancy(occupancy, mdp)
    expected = {"r": 0.0, "t": 0.0}
    for s in range(4):
        for a in range(2):
            for t in range(4):
                expected["r"] += occupancy[s, a] * kernel[s, a, t] * reward[s, a, t]
                expected["t"] += occupancy[s, a] * kernel[s, a, t] * (t == 3)
    assert data.size == 4 * 2 * 4 - 2
    np.testing.assert_allclose(jnp.sum(data.mask * data.reward), expected["r"], rtol=1e-5)
    np.testing.assert_allclose(jnp.sum(data.mask * data.terminated), expected["t"], rtol=1e-5)
    np.testing.assert_allclose(data.mask.sum(), 1, rtol=1e-6)
    assert_distribution(data.sample(KEY, 5000).obs, occupancy.sum(axis=1))
    simple = SimpleNamespace(P=kernel, R=reward[..., 0], terminal=mdp.terminal, reward_on_successor=False)
    np.testing.assert_allclose(
        jnp.sum(from_occupancy(occupancy, simple).mask * from_occupancy(occupancy, simple).reward),
        (occupancy * reward[..., 0]).sum(),
        rtol=1e-5,
    )


def test_hash_is_content():
    one, two = from_arrays(arrays()), from_arrays(arrays())
    assert dataset_hash(one) == dataset_hash(two)
    others = [
        one.replace(reward=one.reward.at[3].add(1e-6 * 3)),
        one.replace(terminated=one.truncated, truncated=one.terminated),
        one.replace(meta=(("a", 1),)),
        one.replace(mask=jnp.ones(10, bool)),
    ]
    assert len({dataset_hash(d) for d in [one, *others]}) == 5


ROWS = 6


def good():
    obs = np.arange(ROWS * 2.0).reshape(ROWS, 2)
    return {
        "obs": obs,
        "action": np.zeros((ROWS, 1)),
        "reward": np.zeros(ROWS),
        "next_obs": obs + 1,
        "terminated": np.arange(ROWS) == 2,
        "truncated": np.arange(ROWS) == 5,
    }


def put(name, row, value, dtype=None):
    def change(arrays):
        arrays[name] = np.array(arrays[name], dtype)
        arrays[name][row] = value

    return change


def set_to(name, value):
    return lambda arrays: arrays.update({name: value})


CASES = {
    "missing key": (lambda a: a.pop("next_obs"), {}, "next_obs is missing; add the array"),
    "no time limits": (
        lambda a: a.pop("truncated"),
        {},
        "truncated is missing; add .* or give max_episode_steps",
    ),
    "unknown key": (
        set_to("rewards", np.zeros(ROWS)),
        {},
        "unknown array rewards; known are action, is_expert",
    ),
    "empty": (lambda a: a.update({k: v[:0] for k, v in a.items()}), {}, "has no rows; give at least one"),
    "lengths": (set_to("reward", np.zeros(5)), {}, "reward has 5 rows, terminated has 6; make them equal"),
    "nan": (put("obs", 3, np.nan), {}, "obs in row 3 is not finite as float32; remove the episode"),
    "infinite reward": (put("reward", 4, np.inf), {}, "reward in row 4 is not finite"),
    "beyond float32": (put("obs", 3, 1e300, np.float64), {}, "obs in row 3 is not finite as float32"),
    "action too large": (put("action", 2, 1.5), {}, r"action in row 2 lies outside \[-1.0, 1.0\]; clip or"),
    "action shape": (
        set_to("action", np.zeros((ROWS, 2))),
        {},
        r"action has shape \(2,\) per row, the space \(1,\)",
    ),
    "both ends": (
        put("truncated", 2, True),
        {},
        "terminated in row 2 is set together with truncated; clear one",
    ),
    "column of rewards": (
        set_to("reward", np.zeros((ROWS, 1))),
        {},
        r"reward has shape \(6, 1\) .* reshape it",
    ),
    "vector rewards": (
        lambda a: None,
        {"reward_dim": 2},
        r"expected floats \(6, 2\); reshape it, or set reward_dim",
    ),
    "integer rewards": (
        set_to("reward", np.zeros(ROWS, int)),
        {},
        "reward has shape .* and type int32, expected floats",
    ),
    "flags": (
        set_to("terminated", np.full(ROWS, 2)),
        {},
        "terminated in row 0 is neither 0 nor 1; give flags",
    ),
    "flag shape": (
        set_to("terminated", np.zeros((ROWS, 2))),
        {},
        r"terminated has shape \(6, 2\); give one flag",
    ),
    "objects": (set_to("obs", np.full(ROWS, None)), {}, "obs has shape .* type object; give rows of numbers"),
    "scalar": (set_to("reward", 1.0), {}, r"reward has shape \(\) and type float64; give rows"),
    "other successor": (
        set_to("next_obs", np.zeros((ROWS, 3))),
        {},
        "next_obs is .* obs is .*; make them equal",
    ),
    "discrete shape": (
        lambda a: None,
        {"action_space": Discrete(2)},
        r"action has shape \(1,\) per row, the space \(\)",
    ),
    "float for discrete": (
        set_to("action", np.zeros(ROWS)),
        {"action_space": Discrete(2)},
        "action has type float32; the space is discrete, give integers",
    ),
    "discrete range": (
        set_to("action", np.asarray([0, 1, 2, 0, 0, 0])),
        {"action_space": Discrete(2)},
        r"action in row 2 lies outside \[0, 1\]",
    ),
    "expert flags": (set_to("is_expert", np.full(ROWS, 0.5)), {}, "is_expert in row 0 is neither 0 nor 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_arrays_are_refused_by_field_and_row(name):
    change, options, message = CASES[name]
    options = {"action_space": Box(-1.0, 1.0, (1,)), **options}
    arrays = good()
    change(arrays)
    options.pop("_also", lambda a: None)(arrays)
    with pytest.raises(CorruptInput, match=f"^hopper.npz: .*{message}") as error:
        from_arrays(arrays, source="hopper.npz", **options)
    assert error.value.exit_code == 5 and "\n" not in str(error.value)
    from_arrays(good(), action_space=Box(-1.0, 1.0, (1,)))  # the control: nothing else was wrong


MDP = SimpleNamespace(
    P=np.full((2, 1, 2), 0.5), R=np.zeros((2, 1)), terminal=np.zeros(2, bool), reward_on_successor=False
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: from_arrays({k: v for k, v in good().items() if k != "truncated"}, max_episode_steps=-1),
            "max_episode_steps: must be >= 1, got -1",
        ),
        (lambda: from_occupancy(jnp.ones((3, 1)), MDP), r"occupancy: shape \(3, 1\) does not fit"),
        (lambda: from_occupancy(jnp.asarray([[1.0], [-0.1]]), MDP), "occupancy: must not be negative"),
        (lambda: from_occupancy(jnp.asarray([[1.0], [jnp.nan]]), MDP), "occupancy: must not .* or NaN"),
    ],
)
def test_usage(call, message):
    with pytest.raises(UsageError, match="^" + message) as error:
        call()
    assert error.value.exit_code == 2


def test_rows_in_which_nothing_ends_are_one_truncated_episode():
    ends = {"terminated": np.zeros(ROWS, bool), "truncated": np.zeros(ROWS, bool)}
    data = from_arrays(good() | ends)
    np.testing.assert_array_equal(data.truncated, np.arange(ROWS) == ROWS - 1)


def test_an_explicit_limit_cuts_longer_episodes():
    """Whether or not there are time limits in the data."""
    ends = {"terminated": np.zeros(ROWS, bool), "truncated": np.arange(ROWS) == 3}
    data = from_arrays(good() | ends, max_episode_steps=2)
    np.testing.assert_array_equal(np.flatnonzero(data.truncated), [1, 3, 5])


@pytest.mark.parametrize("kind", [">i4", ">i2", ">u2", ">f4", ">f8", "<i8"])
def test_numbers_of_another_byte_order(kind):
    obs = (100 * np.arange(ROWS)).astype(kind)
    data = from_arrays(good() | {"obs": obs, "next_obs": obs})
    np.testing.assert_array_equal(data.obs, 100 * np.arange(ROWS))
    assert data.obs.dtype == np.dtype(kind).newbyteorder("=").str.replace("8", "4")


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(UsageError, match=r"^Dataset\.mask: shape \(2,\); give one weight to each of 10 rows"):
        from_arrays(arrays()).replace(mask=jnp.ones(2)).draw(KEY, 5)


def test_rows_of_different_shapes_are_named():
    with pytest.raises(CorruptInput, match=r"^arrays: obs has rows of different shapes"):
        from_arrays(arrays(2, terminated=(1,), obs=[[1.0], [1.0, 2.0]]))
