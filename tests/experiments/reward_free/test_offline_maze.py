"""Rows that cover the maze, and starts on the written controller's path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reward_free import offline_maze
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.point_maze import TARGETS, PointMaze, PointMazeState, blocked
from jaxrl.envs.wrappers.rescale_obs import rescale_obs

ENV = rescale_obs(PointMaze("bottom_right"))
PARAMS = ENV.default_params()


def test_rows_are_those_of_so_many_steps_of_the_maze():
    """A loop over three steps of each of some rows; rewards are their sums, places free and everywhere."""
    data = offline_maze.covering(jax.random.key(0), 200, 3)
    start = np.asarray(jax.vmap(ENV.restore)(data.obs))
    assert not np.asarray(jax.vmap(blocked, (0, None))(jnp.asarray(start[:, :2]), PARAMS)).any()
    assert {(x > 0, y > 0) for x, y in start[:, :2]} == {(p, q) for p in (True, False) for q in (True, False)}
    step = jax.jit(ENV.step)
    for row in range(5):
        state, paid = PointMazeState(jnp.asarray(start[row, :2]), jnp.asarray(start[row, 2:])), 0.0
        for _ in range(3):
            state, out = step(None, state, data.action[row], PARAMS)
            paid += float(out.reward)
        np.testing.assert_allclose(data.next_obs[row], out.obs, atol=1e-5)
        assert float(data.reward[row]) == pytest.approx(paid, abs=1e-5)


def test_starts_lie_on_the_way_to_the_target_at_rest():
    starts = offline_maze.on_the_path((10, 400))
    away = np.linalg.norm(np.asarray(starts.position) - np.array(TARGETS["bottom_right"]), axis=1)
    assert 0.02 < away[0] < 0.06 and away[1] > 0.4
    np.testing.assert_array_equal(starts.velocity, 0)


def test_longer_ways_than_the_path_are_refused():
    with pytest.raises(UsageError, match=r"Config\.distances: must be at most 400 steps each"):
        offline_maze.Config(distances=(401,))
