"""Grids of actions."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.wrappers.discretise import discretise
from tests.envs.wrappers.counting import Count, play


def test_discretise_is_a_grid_with_the_ends():
    env = discretise(Count(), 3)
    assert env.action_space == Discrete(81)
    grid = [-1.0, 0.5, 2.0]
    for action in (0, 1, 5, 40, 80):
        digits = [action // 27 % 3, action // 9 % 3, action // 3 % 3, action % 3]
        _, outs = play(env, 1, action=jnp.int32(action))
        np.testing.assert_allclose(outs[0].info["action"].ravel(), [grid[d] for d in digits])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: discretise(CartPole(), 3), r"Discretise\.env: CartPole needs a Box"),
        (lambda: discretise(Pendulum(), 1), r"Discretise\.bins: must be >= 2"),
        (lambda: discretise(Pendulum(), 2.5), r"Discretise\.bins: must be an int, got 2\.5"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
