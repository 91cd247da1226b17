"""Every public entry of the data package refuses what it cannot use, in one sentence with field and fix."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.data.dataset import from_arrays, from_occupancy

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
    "no end": (
        put("terminated", 2, False),
        {"_also": put("truncated", 5, False)},
        "never set; give at least one",
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
        set_to("terminated", np.zeros((ROWS, 1))),
        {},
        r"terminated has shape \(6, 1\); give one flag",
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
def test_arrays(name):
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
        (lambda: from_arrays(good()).sequences(jax.random.key(0), 1, 0), "Dataset.sequences: length must"),
    ],
)
def test_usage(call, message):
    with pytest.raises(UsageError, match="^" + message) as error:
        call()
    assert error.value.exit_code == 2
