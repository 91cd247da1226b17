"""Minecart: a cart that fetches two ores from five mines and pays for its fuel, with a vector reward.

Legend: `F` = 4 frames per step, 2 ores, 5 mines. Lengths are shares of the side of the map, angles degrees.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

FRAMES = 4
MINE, LEFT, RIGHT, ACCELERATE, BRAKE, NONE = range(6)

_MINES = ((0.16, 0.84), (0.5, 0.84), (0.84, 0.84), (0.84, 0.5), (0.84, 0.16))
_ORES = ((0.2, 0.0), (0.15, 0.1), (0.2, 0.2), (0.1, 0.15), (0.0, 0.2))
_TURN = 10  # per frame
_LOW, _HIGH = -720, 1080  # walls turn a cart out of [0, 360), at most to the corner of the base

_PIXELS = 240
_GROUND, _BASE, _MINE, _CART = (200, 200, 200), (220, 90, 90), (110, 100, 95), (45, 45, 50)
_ORE_COLOURS = ((57, 112, 252), (137, 48, 182))


@functools.cache
def _directions() -> np.ndarray:
    """Cosines and sines float64[1801, 2] of the whole angles -720, ..., 1080.

    From the host: a cart that goes up at 5 and down at -5 degrees ends exactly on a wall or a rounding error
    beside it, and a wall turns it by 10 degrees.
    """
    radians = [angle * math.pi / 180 for angle in range(_LOW, _HIGH + 1)]
    return np.array([(math.cos(x), math.sin(x)) for x in radians])


class MinecartParams(NamedTuple):
    """Parameters of `Minecart`.

    mines: float[5, 2], positions; mean: float[5, 2], of each ore per frame of mining; std: float[], of the
    same, () where mining is deterministic; capacity: float[], of the cart for both ores; mine_radius,
    base_radius: float[]; acceleration, deceleration: float[], change of the speed per frame; max_speed,
    min_speed: float[], per frame; a cart slower than `min_speed` stands. fuel_idle, fuel_mine,
    fuel_accelerate: float[], reward per frame. limit: int32[], steps.
    """

    mines: Array
    mean: Array
    std: Array | tuple[()]
    capacity: Array
    mine_radius: Array
    base_radius: Array
    acceleration: Array
    deceleration: Array
    max_speed: Array
    min_speed: Array
    fuel_idle: Array
    fuel_mine: Array
    fuel_accelerate: Array
    limit: Array


class MinecartState(NamedTuple):
    """State of the cart; numbers of their own, so that a frame compiles to few kernels.

    x, y: float[], position; speed: float[], per frame; angle: int32[], not normalised; ore_1, ore_2:
    float[], content; departed: bool[], whether the cart has left the base.
    """

    x: Array
    y: Array
    speed: Array
    angle: Array
    ore_1: Array
    ore_2: Array
    departed: Array


class _Frames(NamedTuple):
    """What passes from frame to frame.

    ended: bool[], the cart came home; stopped: bool[], one frame later; sold_1, sold_2: float[].
    """

    cart: MinecartState
    ended: Array
    stopped: Array
    sold_1: Array
    sold_2: Array


@dataclass(frozen=True)
class Minecart:
    """Mine, come home, save fuel (Abels et al., arXiv 1809.07803; mo-gymnasium minecart-v0).

    Observation: float[7], position, speed, sine and cosine of the angle, share of the capacity per ore.
    Action: mine, left, right, accelerate, brake, none, each for 4 frames. Reward: float[3], both ores
    brought to the base, fuel (<= 0). Termination: back in the base. Time limit: 1000.

    The map is the unit square, the base its corner (0, 0), where the cart starts at 45 degrees. The dynamics
    have the dtype of `Params`; paths are discontinuous in rounding errors at the walls.
    """

    deterministic: bool = False
    """Whether mines yield their mean in place of a normal variable, cut at 0."""
    name: str = "Minecart"
    reward_dim: int = 3

    @property
    def observation_space(self) -> Box:
        """Position, speed, sine and cosine of the angle, content."""
        return Box((0.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0), 1.0, (7,))

    @property
    def action_space(self) -> Discrete:
        """Mine, left, right, accelerate, brake, none."""
        return Discrete(6)

    @property
    def u_shape(self) -> tuple[int, ...]:
        """Two ores per frame; none where mining is deterministic."""
        return (0,) if self.deterministic else (FRAMES, 2)

    def default_params(self) -> MinecartParams:
        """The published mines, with a standard deviation of 0.05 unless mining is deterministic."""
        return MinecartParams(
            mines=jnp.asarray(np.array(_MINES)),
            mean=jnp.asarray(np.array(_ORES)),
            std=() if self.deterministic else real(0.05),
            capacity=real(1.5),
            mine_radius=real(0.14),
            base_radius=real(0.15),
            acceleration=real(0.0075),
            deceleration=real(1.0),
            max_speed=real(1.0),
            min_speed=real(0.001),
            fuel_idle=real(-0.005),
            fuel_mine=real(-0.05),
            fuel_accelerate=real(-0.025),
            limit=integer(1000),
        )

    def time_limit(self, params: MinecartParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: MinecartParams) -> tuple[MinecartState, Array]:
        """The cart stands in the corner of the base, empty, at 45 degrees."""
        zero = jnp.zeros((), params.capacity.dtype)
        state = MinecartState(zero, zero, zero, integer(45), zero, zero, jnp.asarray(False))
        return state, _obs(state, params)

    def step(
        self, key: Key, state: MinecartState, action: Array, params: MinecartParams
    ) -> tuple[MinecartState, Step]:
        """`step_u` with uniform numbers."""
        u = jax.random.uniform(key, self.u_shape, params.capacity.dtype)
        return self.step_u(state, action, u, params)

    def step_u(
        self, state: MinecartState, action: Array, u: Array, params: MinecartParams
    ) -> tuple[MinecartState, Step]:
        """Four frames; `u` float[4, 2] are the quantiles of what each frame mines, float[0] without."""
        no, zero = jnp.asarray(False), jnp.zeros_like(state.speed)
        frames = _Frames(state, no, no, zero, zero)
        noise = ((0.0, 0.0),) * FRAMES if self.deterministic else params.std * _normal(u)
        for row in noise:
            frames = _frame(frames, action, row, params)
        # the fuel of all frames, whether the episode ends in between or not
        extra = jnp.where(action == MINE, params.fuel_mine, 0)
        extra = jnp.where(action == ACCELERATE, params.fuel_accelerate, extra)
        fuel = FRAMES * params.fuel_idle + FRAMES * extra
        reward = jnp.stack([frames.sold_1, frames.sold_2, fuel])
        return frames.cart, Step(_obs(frames.cart, params), reward, frames.ended, {})

    def render(self, state: MinecartState, params: MinecartParams) -> Array:
        """uint8[240, 240, 3]: base, mines, and the cart with its heading and content; y points down."""
        side = (np.arange(_PIXELS) + 0.5) / _PIXELS * 1.16 - 0.08
        point = jnp.asarray(np.stack(np.meshgrid(side, side), -1))  # [H, W, (x, y)]
        from_mines = jnp.linalg.norm(point[:, :, None] - params.mines[None, None], axis=-1).min(-1)
        cos, sin = _direction(state.angle, point.dtype)
        away = point - jnp.stack([state.x, state.y])[None, None]
        ahead, aside = away @ jnp.stack([cos, sin]), away @ jnp.stack([-sin, cos])
        cart = (jnp.abs(ahead) < 0.05) & (jnp.abs(aside) < 0.03 - 0.4 * jnp.maximum(ahead, 0))
        layers = [
            (jnp.linalg.norm(point, axis=-1) < params.base_radius, _BASE),
            (from_mines < 0.03, _MINE),
            (cart, _CART),
        ]
        # two bars above the cart, as long as the share of the capacity
        for i, (ore, colour) in enumerate(zip((state.ore_1, state.ore_2), _ORE_COLOURS, strict=True)):
            height = jnp.abs(away[..., 1] + 0.07 + 0.02 * i) < 0.007
            along = away[..., 0] + 0.05
            full = (along >= 0) & (along < 0.1 * ore / params.capacity)
            layers.append((height & full, colour))
        picture = jnp.broadcast_to(jnp.asarray(_GROUND, jnp.uint8), (_PIXELS, _PIXELS, 3))
        for mask, colour in layers:
            picture = jnp.where(mask[..., None], jnp.asarray(colour, jnp.uint8)[None, None], picture)
        return picture


def _frame(frames: _Frames, action: Array, noise: Any, params: MinecartParams) -> _Frames:
    """One frame; in the one after the end the cart still turns or accelerates, as in mo-gymnasium."""
    cart = tree_where(frames.stopped, frames.cart, _act(frames.cart, action, noise, params))
    moved = _move(cart, params)
    home = _length(moved.x, moved.y) < params.base_radius
    arrives = home & cart.departed & ~frames.ended
    moved = moved._replace(
        departed=cart.departed | ~home,
        ore_1=jnp.where(arrives, 0, cart.ore_1),
        ore_2=jnp.where(arrives, 0, cart.ore_2),
    )
    return _Frames(
        cart=tree_where(frames.ended, cart, moved),
        ended=frames.ended | arrives,
        stopped=frames.ended,
        sold_1=jnp.where(arrives, cart.ore_1, frames.sold_1),
        sold_2=jnp.where(arrives, cart.ore_2, frames.sold_2),
    )


def _act(cart: MinecartState, action: Array, noise: Any, params: MinecartParams) -> MinecartState:
    turned = cart.angle + jnp.where(action == LEFT, -_TURN, _TURN)
    turns = (action == LEFT) | (action == RIGHT)
    change = jnp.where(action == ACCELERATE, params.acceleration, 0)
    change = jnp.where(action == BRAKE, -params.deceleration, change)
    driven = (action == ACCELERATE) | (action == BRAKE)
    ore_1, ore_2 = _mine(cart, noise, params)
    return cart._replace(
        angle=jnp.where(turns, turned % 360, cart.angle),
        speed=jnp.where(driven, jnp.clip(cart.speed + change, 0, params.max_speed), cart.speed),
        ore_1=jnp.where(action == MINE, ore_1, cart.ore_1),
        ore_2=jnp.where(action == MINE, ore_2, cart.ore_2),
    )


def _mine(cart: MinecartState, noise: Any, params: MinecartParams) -> tuple[Array, Array]:
    """Content float[] of each ore after one frame at the nearest mine, whose yield is its mean + `noise`."""
    # a loop over mines, because an argmin would be a kernel of its own
    distance, mean = jnp.full_like(cart.speed, jnp.inf), (cart.ore_1, cart.ore_2)
    for (x, y), here in zip(params.mines, params.mean, strict=True):
        away = _length(cart.x - x, cart.y - y)
        mean = [jnp.where(away < distance, a, b) for a, b in zip(here, mean, strict=True)]
        distance = jnp.minimum(away, distance)
    mined = [jnp.maximum(mean[i] + noise[i], 0) for i in range(2)]
    free, total = params.capacity - (cart.ore_1 + cart.ore_2), mined[0] + mined[1]
    scale = jnp.where(total > free, free / jnp.where(total > free, total, 1), 1)
    stands = (cart.speed < params.min_speed) & (distance <= params.mine_radius)
    scale = jnp.where(stands, scale, 0)
    return cart.ore_1 + mined[0] * scale, cart.ore_2 + mined[1] * scale


def _normal(u: Array) -> Array:
    """float[2], the quantiles `u` float[2] of a standard normal variable, finite at 0."""
    return np.sqrt(2).astype(u.dtype) * jax.lax.erf_inv(jnp.maximum(2 * u - 1, jnp.finfo(u.dtype).eps - 1))


def _move(cart: MinecartState, params: MinecartParams) -> MinecartState:
    """The cart one frame further, turned by 10 degrees where it slides along a wall."""
    cos, sin = _direction(cart.angle, cart.speed.dtype)
    vx, vy = cart.speed * cos, cart.speed * sin
    # a wall turns a cart that runs against it and moves along it, away from the corners
    turn_x = _turn(cart.x, vx, cart.y, vy, params.min_speed)
    turn_y = -_turn(cart.y, vy, cart.x, vx, params.min_speed)
    x, y = jnp.clip(cart.x + vx, 0, 1), jnp.clip(cart.y + vy, 0, 1)
    speed = _length(cart.x - x, cart.y - y)
    moved = cart._replace(x=x, y=y, speed=speed, angle=cart.angle + turn_x + turn_y)
    return tree_where(cart.speed < params.min_speed, cart, moved)


def _turn(x: Array, vx: Array, y: Array, vy: Array, eps: Array) -> Array:
    """int32[], degrees by which the walls x = 0 and x = 1 turn a cart with velocity `(vx, vy)`."""
    slides = (y != 0) & (y != 1) & (jnp.abs(vy) > eps)
    up = jnp.where(vy > 0, _TURN, -_TURN)
    turn = jnp.where((x == 1) & (vx > 0), up, jnp.where((x == 0) & (vx < 0), -up, 0))
    return jnp.where(slides, turn, 0).astype(jnp.int32)


def _length(x: Array, y: Array) -> Array:
    return jnp.sqrt(x**2 + y**2)


def _direction(angle: Array, dtype: jnp.dtype) -> Array:
    """float[2], cosine and sine of an angle int32[]."""
    return jnp.asarray(_directions(), dtype)[jnp.clip(angle, _LOW, _HIGH) - _LOW]


def _obs(cart: MinecartState, params: MinecartParams) -> Array:
    cos, sin = _direction(cart.angle, cart.speed.dtype)
    shares = [jnp.minimum(ore / params.capacity, 1) for ore in (cart.ore_1, cart.ore_2)]
    return jnp.stack([cart.x, cart.y, cart.speed, sin, cos, *shares])


ENVIRONMENTS = {
    "Minecart": Entry(Minecart),
    "Minecart-deterministic": Entry(partial(Minecart, True)),
}
