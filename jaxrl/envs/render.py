"""Pictures and films of any environment that renders, itself or by a drawing of this file (host only).

Legend: `T` frames of `[H, W, 3]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.envs.base import Env, Renders
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.mountain_car import MountainCar, MountainCarContinuous
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.wrappers.resample_task import ResampleTask
from jaxrl.envs.wrappers.wrapper import Wrapper

SIZE = 240  # pixels of a drawing
_Point = tuple[float, float]


def picture(env: Env, state: PyTree, params: PyTree) -> np.ndarray:
    """uint8[H, W, 3] of one state. Raises `UsageError` for environments that cannot be drawn."""
    if isinstance(env, Renders):
        return np.asarray(env.render(state, params))
    if isinstance(env, ResampleTask):
        return picture(env.env, state.env, state.task)
    if isinstance(env, Wrapper):
        return picture(env.env, env.inner_state(state), env.inner_params(params))
    for kind, draw in _DRAWINGS.items():
        if isinstance(env, kind):
            lines, discs = draw(jax.tree.map(float, state), jax.tree.map(float, params))
            return _paint(lines, discs)
    raise UsageError(f"picture.env: {env.name} does not render; give it `render(state, params)`")


def episode(env: Env, policy: Policy, key: Key, params: PyTree, length: int) -> tuple[PyTree, np.ndarray]:
    """States `[T, ...]` of one episode and rewards `[T - 1]` or `[T - 1, m]`; T <= length + 1."""

    def body(carry: tuple[PyTree, PyTree, PyTree, Array], key: Key) -> tuple[tuple, tuple]:
        state, obs, memory, ended = carry
        k_act, k_env = jax.random.split(key)
        action, _, after_memory = policy.act(k_act, obs, memory)
        after, out = env.step(k_env, state, action, params)
        new = (after, out.obs, after_memory, ended | out.terminated)
        kept = tree_where(ended, carry, new)
        return kept, (kept[0], out.reward, ended)

    def run(key: Key) -> tuple[PyTree, PyTree, Array, Array]:
        k_reset, k_run = jax.random.split(key)
        state, obs = env.reset(k_reset, params)
        first = (state, obs, policy.memory, jnp.asarray(False))
        return state, *jax.lax.scan(body, first, streams(k_run, length))[1]

    first, states, rewards, ended = jax.jit(run)(key)
    steps = int(np.sum(~np.asarray(ended)))
    states = jax.tree.map(
        lambda x, y: np.concatenate([np.asarray(x)[None], np.asarray(y)[:steps]]), first, states
    )
    return states, np.asarray(rewards)[:steps]


def frames(env: Env, states: PyTree, params: PyTree) -> np.ndarray:
    """uint8[T, H, W, 3] of states `[T, ...]`."""
    n = jax.tree.leaves(states)[0].shape[0]
    return np.stack([picture(env, jax.tree.map(lambda x, i=i: x[i], states), params) for i in range(n)])


def save_film(path: Path | str, pictures: np.ndarray, fps: float = 25.0) -> Path:
    """Writes uint8[T, H, W, 3] as an animated GIF that repeats for ever; returns the path."""
    from PIL import Image

    path = Path(path)
    if path.suffix != ".gif":
        raise UsageError(f"save_film.path: must end in .gif, got {path.name}")
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8 or not len(pictures):
        raise UsageError(
            f"save_film.pictures: must be uint8[T, H, W, 3], got {pictures.dtype}{pictures.shape}"
        )
    if not fps > 0:
        raise UsageError(f"save_film.fps: must be > 0, got {fps}")
    images = [Image.fromarray(x) for x in pictures]
    images[0].save(path, save_all=True, append_images=images[1:], duration=1000 / fps, loop=0)
    return path


def save_picture(path: Path | str, pixels: np.ndarray) -> Path:
    """Writes uint8[H, W, 3] as the image format that the file name says; returns the path."""
    from PIL import Image

    path = Path(path)
    Image.fromarray(pixels).save(path)
    return path


# --- drawings: lines (points, width, colour) and discs (centre, radius, colour) in [-1, 1]^2, y up ----------

_Lines = Sequence[tuple[Sequence[_Point], int, str]]
_Discs = Sequence[tuple[_Point, float, str]]


def _cart_pole(s: CartPole, p: PyTree) -> tuple[_Lines, _Discs]:
    x = s.x / p.x_threshold * 0.8
    tip = (x + 0.8 * np.sin(s.theta), -0.4 + 0.8 * np.cos(s.theta))
    ends = [([(side * 0.8, -0.5), (side * 0.8, -0.3)], 2, "#bbbbbb") for side in (-1, 1)]
    cart = [(x - 0.15, -0.4), (x + 0.15, -0.4)]
    track = [(-1, -0.5), (1, -0.5)]
    lines = [(track, 2, "#888888"), *ends, (cart, 20, "#333333"), ([(x, -0.4), tip], 7, "#c87f3f")]
    return lines, [((x, -0.4), 0.03, "#7777cc")]


def _pendulum(s: PyTree, p: PyTree) -> tuple[_Lines, _Discs]:
    tip = (-0.8 * np.sin(s.theta), 0.8 * np.cos(s.theta))
    return [([(0, 0), tip], 12, "#cc4c4c")], [((0, 0), 0.05, "#333333"), (tip, 0.08, "#cc4c4c")]


def _mountain_car(s: PyTree, p: PyTree) -> tuple[_Lines, _Discs]:
    def place(x: float, up: float = 0.0) -> _Point:
        width = p.max_position - p.min_position
        return 2 * (x - p.min_position) / width - 1, 0.7 * np.sin(3 * x) - 0.1 + up

    hill = [place(x) for x in np.linspace(p.min_position, p.max_position, 80)]
    goal = p.goal_position
    flag = [place(goal), place(goal, 0.25), place(goal - 0.1, 0.2)]
    return [(hill, 3, "#444444"), (flag, 3, "#c9a227")], [(place(s.position, 0.06), 0.07, "#2f6fb0")]


def _acrobot(s: PyTree, p: PyTree) -> tuple[_Lines, _Discs]:
    elbow = (0.45 * np.sin(s.theta_1), -0.45 * np.cos(s.theta_1))
    both = s.theta_1 + s.theta_2
    tip = (elbow[0] + 0.45 * np.sin(both), elbow[1] - 0.45 * np.cos(both))
    bar = [(-1, 0.45), (1, 0.45)]
    lines = [(bar, 2, "#888888"), ([(0, 0), elbow], 9, "#2f9e8f"), ([elbow, tip], 9, "#2f9e8f")]
    return lines, [((0, 0), 0.04, "#c9a227"), (elbow, 0.04, "#c9a227")]


_DRAWINGS: dict[type, Callable[[PyTree, PyTree], tuple[_Lines, _Discs]]] = {
    CartPole: _cart_pole,
    Pendulum: _pendulum,
    MountainCar: _mountain_car,
    MountainCarContinuous: _mountain_car,
    Acrobot: _acrobot,
}


def _paint(lines: _Lines, discs: _Discs) -> np.ndarray:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (SIZE, SIZE), "white")
    draw = ImageDraw.Draw(image)

    def pixel(point: _Point) -> _Point:
        return (point[0] + 1) * SIZE / 2, (1 - point[1]) * SIZE / 2

    for points, width, colour in lines:
        draw.line([pixel(point) for point in points], fill=colour, width=width)
    for centre, radius, colour in discs:
        (x, y), r = pixel(centre), radius * SIZE / 2
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return np.asarray(image)
