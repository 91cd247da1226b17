"""What a policy sees of items on a grid: cell and time, history, open demands."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.item_collection import item_collection


def test_observations_show_time_history_and_open_demands():
    env = item_collection(show_history=True, show_stat=True)
    params = env.default_params()
    state, obs = env.reset(jax.random.key(0), params)
    assert int(obs["obs"]["obs"]["obs"]) == 34 and int(obs["obs"]["obs"]["h"]) == 0
    assert np.asarray(obs["obs"]["history"]).tolist() == [34] + [-1] * 39
    # the start holds an S, of which two are wanted
    assert maps.ITEMS[2][4] == "P" and np.asarray(obs["stat"]["remaining"]).tolist() == [
        3,
        2,
        3,
        4,
        6,
        2,
    ]
    state, out = env.step(jax.random.key(0), state, jnp.int32(1), params)
    assert np.asarray(out.obs["obs"]["history"])[:3].tolist() == [34, 35, -1]
    assert np.flatnonzero(out.obs["stat"]["visited"]).tolist() == [34, 35]
