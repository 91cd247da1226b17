"""The point maze: the written controller, what is compared, and rewards of rescaled rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reward_free import deep_point_maze
from experiments.reward_free.maze_controller import controller
from jaxrl.envs.control.point_maze import TARGETS, PointMaze, PointMazeState, target_reward
from jaxrl.envs.wrappers.rescale_obs import rescale_obs


@pytest.mark.parametrize("task", ["bottom_left", "bottom_right"])
def test_the_written_controller_reaches_the_target_from_the_corners_of_the_start(task):
    """After 500 steps; the far target is 0.8 m away along the walls, and full speed 2 mm per step."""
    env, policy = PointMaze(task), controller(task)
    params = env.default_params()

    def step(state, _):
        action, _, _ = policy.act(None, jnp.concatenate(state), ())
        return env.step(None, state, action, params)[0], None

    corners = jnp.array([[x, y] for x in (-0.29, -0.15) for y in (0.15, 0.29)])
    end = jax.jit(jax.vmap(lambda p: jax.lax.scan(step, PointMazeState(p, 0 * p), None, 500)[0]))(corners)
    np.testing.assert_allclose(end.position, np.tile(TARGETS[task], (4, 1)), atol=1e-3)


def test_rewards_of_rescaled_rows_are_those_of_the_maze():
    env = rescale_obs(PointMaze())
    obs, action = jnp.array([0.14, -0.16, 0.05, 0.0]), jnp.array([0.5, -0.5])
    paid = deep_point_maze._seen_reward(env, "bottom_right")(env.rescale(obs), action, env.rescale(obs))
    expected = target_reward(jnp.array(TARGETS["bottom_right"]), None, action, obs)
    np.testing.assert_allclose(paid, expected, rtol=1e-4)
    assert float(expected) > 0.9


def test_controls_are_no_members_and_a_missing_controller_no_score():
    result = {
        "explorer": np.array(["held", "RND"]),
        "task": np.array(["top_left"]),
        "learner": np.array(["TD3"]),
        "cells": np.array([[300, 290], [120, 130]]),
        "full_force": np.array([[0.4, 0.5], [0.1, 0.3]]),
        "paid": np.array([[[0.01, 0.02], [0.0, 0.0]]]),
        "returns": np.arange(4.0).reshape(1, 1, 2, 2),
        "scripted": np.array([np.nan]),
    }
    found = deep_point_maze.scores(result)
    assert found["held: cells visited, of 348"].derived and not found["RND: cells visited, of 348"].derived
    np.testing.assert_array_equal(found["RND, top left: return of TD3"], [2, 3])
    np.testing.assert_allclose(found["held, top left: rows paid, in %"].values, [1, 2])
    force = "{}: forces beyond 0.95 of the largest, in %"
    np.testing.assert_allclose(found[force.format("RND")].values, [10, 30])
    assert force.format("held") not in found
    assert not any("written controller" in label for label in found)
