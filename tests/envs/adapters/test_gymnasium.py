"""Names and spaces of gymnasium."""

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box as GymBox
from gymnasium.spaces import Dict, MultiBinary, MultiDiscrete, Tuple
from gymnasium.spaces import Discrete as GymDiscrete

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.envs.adapters.gymnasium import convert_space, maker, spaces


def test_spaces_of_an_environment():
    observation, action = spaces(maker("Pendulum-v1"))
    assert observation == Box((-1.0, -1.0, -8.0), (1.0, 1.0, 8.0), (3,))
    assert action == Box((-2.0,), (2.0,), (1,))
    assert spaces(maker("CartPole-v1"))[1] == Discrete(2)


def test_options_reach_the_environment():
    env = maker("CartPole-v1", max_episode_steps=7)()
    assert env.spec.max_episode_steps == 7


def test_nested_spaces():
    pixels = GymBox(0, 255, (2, 2), np.uint8)
    space = Dict({"a": GymDiscrete(3), "b": Tuple((GymBox(-1, 1, (2,), np.float64), pixels))})
    found = convert_space(space)
    assert found["a"] == Discrete(3)
    assert found["b"][0] == Box((-1.0, -1.0), (1.0, 1.0), (2,), np.float32)
    assert found["b"][1].dtype == np.uint8 and found["b"][1].shape == (2, 2)


class Lookalike(gymnasium.Space):
    """Another space that happens to have the attributes of a Discrete and of a Box."""

    n, start, low, high = 3, 0, 0.0, 1.0


@pytest.mark.parametrize(
    "space",
    [
        GymDiscrete(3, start=1),
        MultiBinary(4),
        MultiDiscrete([2, 3]),
        gymnasium.spaces.Text(3),
        Lookalike((), np.float32),
    ],
)
def test_spaces_without_counterpart(space):
    with pytest.raises(UsageError, match=r"^space: .* has no counterpart; use Discrete"):
        convert_space(space)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "ours"),
    [(np.int8, -5, 5, np.int32), (np.uint8, 0, 255, np.uint8), (np.int64, -(2**31), 2**31 - 1, np.int32)],
)
def test_integer_boxes_keep_their_bounds(dtype, low, high, ours):
    assert convert_space(GymBox(low, high, (2,), dtype)) == Box((low, low), (high, high), (2,), ours)


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.int64, 0, 2**40), (np.uint32, 0, 2**32 - 1)])
def test_integers_beyond_int32_are_refused(dtype, low, high):
    with pytest.raises(UsageError, match=r"^space: Box.* has integers beyond int32; narrow its bounds$"):
        convert_space(GymBox(low, high, (2,), dtype))


def test_names_with_a_module():
    env = maker("mo_gymnasium:deep-sea-treasure-v0")()
    assert env.unwrapped.reward_space.shape == (2,)
    with pytest.raises(MissingExtra, match=r"^no_such_module:A-v0: "):
        maker("no_such_module:A-v0")


def test_unknown_name():
    with pytest.raises(UsageError, match=r"^name: gymnasium has no 'CartPol-v1'.*CartPole"):
        maker("CartPol-v1")


def test_missing_library_of_an_environment(monkeypatch):
    """MuJoCo's environments import imageio, which nothing else needs."""
    monkeypatch.setitem(sys.modules, "imageio", None)
    for module in [name for name in sys.modules if name.startswith("gymnasium.envs.mujoco")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtra, match=r"^Hopper-v5: .*imageio.*pip install 'jaxrl\[data\]'"):
        maker("Hopper-v5")


def test_missing_gymnasium(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra, match=r"pip install 'jaxrl\[data\]'"):
        maker("CartPole-v1")
