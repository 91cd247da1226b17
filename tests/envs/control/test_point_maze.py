"""The point maze: the integrator digit by digit, walls by geometry, rewards by hand and by relabelling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data.collect import collect, uniform
from jaxrl.data.relabel import relabel
from jaxrl.envs.control.point_maze import (
    TARGETS,
    PointMaze,
    PointMazeState,
    cell_of,
    target_reward,
    task_reward,
)


@jax.jit
def roll(state, actions, params):
    """States after each of the actions [T, 2]."""

    def body(state, action):
        state, _ = PointMaze().step(jax.random.key(0), state, action, params)
        return state, state

    return jax.lax.scan(body, state, actions)[1]


def at(x, y, vx=0.0, vy=0.0):
    return PointMazeState(jnp.asarray((x, y), float), jnp.asarray((vx, vy), float))


def test_free_motion_published_values():
    """From rest with full force along x, as MuJoCo integrates it with implicit damping."""
    with jax.enable_x64(True):
        params = PointMaze().default_params()
        states = roll(at(-0.1, 0.25), jnp.tile(jnp.asarray((1.0, 0.0)), (100, 1)), params)
        states = jax.tree.map(np.asarray, states)
    rows = np.array([1, 2, 10, 50, 100]) - 1
    velocity = (0.00625, 0.01210938, 0.04755395, 0.09603207, 0.09984256)
    position = (0.000125, 0.00036719, 0.00573381, 0.07119038, 0.17004723)
    np.testing.assert_allclose(states.velocity[rows, 0], velocity, rtol=0, atol=1e-8)
    np.testing.assert_allclose(states.position[rows, 0] + 0.1, position, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(states.velocity[:, 1], 0)


@pytest.mark.parametrize(
    ("start", "action", "axis", "end"),
    [
        ((-0.25, 0.1), (-1.0, 0.0), 0, -0.29),  # the outer wall on the left
        ((0.1, 0.1), (0.0, 1.0), 1, 0.29),
        ((-0.1, 0.1), (1.0, 0.0), 0, -0.03),  # the upright of the cross
        ((0.1, -0.1), (0.0, 1.0), 1, -0.03),  # its horizontal
        ((0.25, 0.0), (-1.0, 0.0), 0, 0.19),  # an end of the horizontal
    ],
)
def test_walls_stop_one_axis_at_the_surface_of_the_ball(start, action, axis, end):
    params = PointMaze().default_params()
    states = roll(at(*start), jnp.tile(jnp.asarray(action), (150, 1)), params)
    last = np.asarray(states.position[-1], np.float64)
    # within one step of at most 0.002 m in front of the wall, and never inside it
    assert 0 <= (end - last[axis]) * np.sign(action[axis]) <= 0.002 + 1e-6
    assert last[1 - axis] == pytest.approx(start[1 - axis], abs=1e-7)
    assert abs(float(states.velocity[-1, axis])) <= 0.00625 + 1e-7


def test_the_other_axis_slides_along_the_wall():
    params = PointMaze().default_params()
    states = roll(at(-0.28, 0.0), jnp.tile(jnp.asarray((-1.0, 1.0)), (60, 1)), params)
    free = roll(at(-0.25, 0.0), jnp.tile(jnp.asarray((0.0, 1.0)), (60, 1)), params)
    np.testing.assert_allclose(states.position[:, 1], free.position[:, 1], atol=1e-6)


def test_348_cells_have_a_free_centre():
    centre = (np.arange(20) + 0.5) * 0.029 - 0.29
    x, y = np.meshgrid(centre, centre, indexing="ij")
    free = ~((np.abs(x) < 0.19) & (np.abs(y) < 0.03) | (np.abs(x) < 0.03) & (np.abs(y) < 0.19))
    assert free.sum() == 348
    obs = jnp.asarray(np.stack([x, y, 0 * x, 0 * x], -1), jnp.float32)
    np.testing.assert_array_equal(cell_of(obs), np.arange(400).reshape(20, 20))


@pytest.mark.parametrize(
    ("distance", "action", "value"),
    [
        (0.0, (0.0, 0.0), 1.0),
        (0.015, (1.0, 1.0), 0.8),
        (0.03, (0.0, 0.0), 0.1),
        (0.0225, (0.0, 0.0), 0.1**0.25),
        (0.0, (0.5, 2.0), (4 + (0.75 + 0.0) / 2) / 5),
    ],
)
def test_reward_by_hand(distance, action, value):
    obs = jnp.asarray((0.15, -0.15 + distance, 0.05, 0.0))
    reward = target_reward(jnp.asarray((0.15, -0.15)), None, jnp.asarray(action), obs)
    assert float(reward) == pytest.approx(value, abs=2e-5)
    gradient = jax.grad(lambda x: target_reward(jnp.asarray((0.15, -0.15)), None, jnp.zeros(2), x))(obs)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("task", list(TARGETS))
def test_relabelled_rewards_equal_those_recorded_online(task):
    """Episodes that start on the target, so that rewards differ from 0."""
    env = PointMaze(task)
    params = env.default_params()
    x, y = TARGETS["top_left"]
    params = params._replace(start=jnp.asarray((-x, y)), wall=jnp.asarray(0.17))
    data = collect(env, uniform(env), jax.random.key(0), params, episodes=3, limit=50)
    again = relabel(data, task_reward(task), task)
    np.testing.assert_allclose(again.reward, data.reward, rtol=0, atol=1e-6)
    assert task != "top_left" or float(data.reward.mean()) > 0.05
    assert bool(data.truncated[49]) and not bool(data.terminated.any())


def test_starts_fill_the_upper_left_corner():
    env, keys = PointMaze(), jax.random.split(jax.random.key(0), 2000)
    _, obs = jax.vmap(env.reset, (0, None))(keys, env.default_params())
    obs = np.asarray(obs, np.float64)
    np.testing.assert_allclose(obs.min(0), (-0.29, 0.15, 0, 0), atol=1e-3)
    np.testing.assert_allclose(obs.max(0), (-0.15, 0.29, 0, 0), atol=1e-3)


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match=r"PointMaze\.task: must be one of 'top_left'.*'middle'"):
        PointMaze("middle")
