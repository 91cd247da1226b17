"""Observations as one vector."""

import numpy as np

from jaxrl.core.spaces import Box
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
from jaxrl.envs.wrappers.observe_time import observe_time
from tests.envs.wrappers.counting import KEY


def test_flatten_obs_orders_parts_by_key():
    env = flatten_obs(finite_horizon(observe_time(Tabular(3, 2), 0.5), 2))
    params = env.default_params()
    state, obs = env.reset(KEY, params)
    s = int(state.env.env.s)
    one_hot = [float(i == s) for i in range(3)]
    # {"h": Discrete(3), "obs": {"obs": Discrete(3), "time": float}}
    assert obs.tolist() == [1, 0, 0, *one_hot, 0]
    space = env.observation_space
    assert space.shape == (7,) and space.low == (0,) * 6 + (-np.inf,) and space.high == (1,) * 6 + (np.inf,)
    assert flatten_obs(DeepSeaTreasure()).observation_space == Box([0.0, 0.0], [10.0, 10.0], (2,))
