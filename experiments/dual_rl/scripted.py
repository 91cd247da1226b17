"""Pendulum episodes of a scripted expert and of random actions, made in a second: data for quick looks.

Legend: `n` episodes.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.data.collect import recorded
from jaxrl.data.dataset import Dataset
from jaxrl.data.episodes import drop_padding, episode_returns
from jaxrl.envs.control.pendulum import Pendulum

ENV = Pendulum()
LIMIT = 200  # steps


def swing_up(obs: Array) -> Array:
    """float[1], the torque that pumps energy until the pendulum is almost upright, then holds it."""
    cos, sin, speed = obs
    energy = speed**2 / 2 + 15 * (cos - 1)
    pump = jnp.where(speed < 0, -1.0, 1.0) * jnp.clip(-energy, -2.0, 2.0)
    hold = -(10 * jnp.arctan2(sin, cos) + 3 * speed)
    return jnp.clip(jnp.where(cos > 0.85, hold, pump), -2.0, 2.0)[None]


@partial(jax.jit, static_argnums=2)
def _episodes(key: Key, share: Array, count: int) -> Dataset:
    def act(key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        k_coin, k_random = jax.random.split(key)
        random = jax.random.bernoulli(k_coin, share)
        return jnp.where(random, ENV.action_space.sample(k_random), swing_up(obs)), (), memory

    return recorded(ENV, Policy(act), key, ENV.default_params(), episodes=count, limit=LIMIT)


def record(seed: int, share: float, count: int) -> Dataset:
    """`n = count` whole episodes of the expert with a uniformly random action in a `share` of the steps."""
    key = stream(jax.random.key(seed), round(100 * share))
    return drop_padding(_episodes(key, jnp.float32(share), count))


def references(seed: int, count: int) -> tuple[float, float]:
    """Mean returns of random actions and of the expert, `count` episodes each: scores 0 and 100."""
    random, expert = (episode_returns(record(seed, share, count)).mean() for share in (1.0, 0.0))
    return float(random), float(expert)
