"""Pictures show the state, films hold as many frames as the episode has states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.catalogue import make
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.render import episode, frames, picture, save_film, save_picture
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.envs.wrappers.resample_task import resample_params

DRAWN = [
    "CartPole",
    "Pendulum",
    "MountainCar",
    "MountainCarContinuous",
    "Acrobot",
    "GridWorld-debug",
    "Minecart",
    "Reacher",
    "AGV",
    "Asterix",
    "Breakout",
    "SpaceInvaders",
    "Freeway",
]


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_change_with_the_state(name):
    env = make(name)
    params = env.default_params()
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    state, _ = reset(jax.random.key(0), params)
    first = picture(env, state, params)
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    for t in range(40):
        action = spaces.sample(env.action_space, jax.random.key(t))
        state, _ = step(jax.random.key(t), state, action, params)
    later = picture(env, state, params)
    assert (later != first).any()
    assert len(np.unique(np.concatenate([first, later]).reshape(-1, 3), axis=0)) > 2


def test_the_pole_points_where_the_angle_says():
    env = make("CartPole")
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    columns = []
    for theta in (-0.2, 0.2):
        pixels = picture(env, state._replace(x=jnp.float32(0), theta=jnp.float32(theta)), params)
        pole = np.argwhere((pixels == (200, 127, 63)).all(-1))
        columns.append(pole[pole[:, 0].argmin(), 1])
    assert columns[0] < pixels.shape[1] / 2 < columns[1]


def test_wrapped_environments_are_drawn_as_what_is_inside():
    inner = make("Pendulum")
    env = observe_time(finite_horizon(inner, 9), 0.1)
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    np.testing.assert_array_equal(picture(env, state, params), picture(inner, state.env.env, params.env.env))
    task = resample_params(make("GridWorld-debug"))
    state, _ = jax.jit(task.reset)(jax.random.key(0), task.default_params())
    np.testing.assert_array_equal(
        picture(task, state, task.default_params()), task.env.render(state.env, state.task)
    )


def test_a_film_of_an_episode(tmp_path):
    env = DeepSeaTreasure()
    down_the_first_column = Policy(lambda key, obs, memory: (jnp.where(obs[1] == 2, 1, 3), (), memory))
    states, rewards = episode(env, down_the_first_column, jax.random.key(0), env.default_params(), 20)
    # right, right, down, down: treasure 11.5 in column 2, then nothing more
    assert states.row.tolist() == [0, 0, 0, 1, 2, 3] and states.col.tolist() == [0, 1, 2, 2, 2, 2]
    assert rewards.tolist() == [[0, -1]] * 4 + [[11.5, -1]]
    pictures = frames(env, states, env.default_params())
    path = save_film(tmp_path / "dive.gif", pictures, fps=10)
    with Image.open(path) as film:
        assert film.n_frames == 6 and film.info["duration"] == 100 and film.info["loop"] == 0
        film.seek(5)
        shown = np.asarray(film.convert("RGB"), np.int32)
    assert np.abs(shown - pictures[5]).max() <= 8  # palette
    save_picture(tmp_path / "dive.png", pictures[0])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "dive.png")), pictures[0])


def test_what_cannot_be_drawn_says_so(tmp_path):
    env = Tabular(3, 2)
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    with pytest.raises(UsageError, match="Tabular does not render"):
        picture(env, state, params)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: save_film("x.txt", np.zeros((1, 2, 2, 3), np.uint8)),
            r"save_film\.path: must",
        ),
        (lambda: save_film("x.gif", np.zeros((1, 2, 2, 3))), r"save_film\.pictures: must be"),
        (
            lambda: save_film("x.gif", np.zeros((1, 2, 2, 3), np.uint8), fps=0),
            r"save_film\.fps: must be > 0",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
