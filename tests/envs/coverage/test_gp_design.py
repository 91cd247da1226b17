"""Experiment design as an environment: parameters, and the capacity of an episode."""

import jax
import numpy as np

from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.gp_design import gp_design


def test_the_process_is_the_prior_or_one_that_has_seen_five_measurements():
    sizes = {"rows": 3, "cols": 4, "start": 0, "states": 5}
    kernel = gp_design(**sizes).default_params().F.kernel
    np.testing.assert_allclose(kernel, maps.matern_kernel(3, 4), rtol=1e-6)
    seen = gp_design(**sizes, seed=2).default_params().F.kernel
    np.testing.assert_allclose(seen, maps.posterior_kernel(2, 3, 4), rtol=1e-5, atol=1e-6)
    assert np.all(np.diagonal(seen) <= np.diagonal(kernel) + 1e-6)


def test_an_episode_fills_the_function():
    """Five states: the gain of the last one is a number, and F holds no more."""
    env = gp_design(5, rows=2, cols=2, start=0)
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    gains = []
    for action in (1, 2, 3, 0):
        state, out = env.step(jax.random.key(0), state, np.int32(action), params)
        gains.append(float(out.reward))
    assert bool(out.terminated) and np.all(np.array(gains) > 0) and env.F.capacity == 5
    assert int(state.stat.count) == 5
