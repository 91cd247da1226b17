"""The board that the games share: cells, observations, pictures."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.base import float_dtype

SIDE = 10
"""Rows and columns of the board."""
_EMPTY = (20, 20, 30)
_PIXELS = 16


def space(channels: int) -> Box:
    """The observations of a game with that many channels."""
    return Box(0.0, 1.0, (SIDE, SIDE, channels))


def cell(row: Array | int, col: Array | int) -> Array:
    """bool[10, 10], True at `(row, col)`, int32[] each, and nowhere if that is off the board."""
    return (jnp.arange(SIDE) == row)[:, None] & (jnp.arange(SIDE) == col)[None]


def cells(col: Array, shown: Array) -> Array:
    """bool[10, 10] of one object in each of the rows 1 to 8: columns int32[8], those `shown`, bool[8]."""
    rows = (jnp.arange(SIDE)[None] == col[:, None]) & shown[:, None]
    return jnp.pad(rows, ((1, 1), (0, 0)))


def observation(maps: Sequence[Array], params: PyTree) -> Array:
    """float[10, 10, C] of 0 and 1 from bool[10, 10] per channel, in the float dtype of `params`."""
    return jnp.stack(maps, axis=-1).astype(float_dtype(params))


def picture(obs: Array, colours: Sequence[tuple[int, int, int]]) -> Array:
    """uint8[160, 160, 3] of an observation [10, 10, C]; later channels are drawn over earlier ones."""
    painted = jnp.broadcast_to(jnp.asarray(_EMPTY, jnp.uint8), (SIDE, SIDE, 3))
    for channel, colour in enumerate(colours):
        here = obs[..., channel, None] > 0
        painted = jnp.where(here, jnp.asarray(colour, jnp.uint8)[None, None], painted)
    return painted.repeat(_PIXELS, 0).repeat(_PIXELS, 1)
