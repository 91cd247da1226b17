"""Observations in units of their bounds: the map, its inverse, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.point_maze import PointMaze
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.rescale_obs import rescale_obs
from tests.envs.wrappers.counting import KEY


def test_coordinates_are_measured_by_their_bounds():
    env, params = rescale_obs(PointMaze()), PointMaze().default_params()
    state, obs = env.reset(KEY, params)
    np.testing.assert_allclose(obs, jnp.concatenate(state) / jnp.array([0.3, 0.3, 0.1, 0.1]), rtol=1e-6)
    after, out = env.step(KEY, state, jnp.array([1.0, -1.0]), params)
    np.testing.assert_allclose(out.obs[2:], [0.0625, -0.0625], rtol=1e-5)
    np.testing.assert_allclose(env.restore(out.obs), jnp.concatenate(after), rtol=1e-5)
    assert env.observation_space == Box(-1.0, 1.0, (4,))


def test_bounds_need_not_be_symmetric():
    class Shifted(PointMaze):
        observation_space = Box((0.0, -1.0), (4.0, 1.0), (2,))

    env = rescale_obs(Shifted())
    np.testing.assert_allclose(env.rescale(jnp.array([1.0, 0.5])), [-0.5, 0.5])
    np.testing.assert_allclose(env.restore(jnp.array([-0.5, 0.5])), [1.0, 0.5])


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (CartPole(), r"RescaleObs: needs finite bounds.*; standardise such"),
        (Tabular(3, 2), r"RescaleObs: needs observations float\[n\].*flatten_obs"),
    ],
)
def test_refusals(env, message):
    with pytest.raises(UsageError, match=message):
        rescale_obs(env)
