"""Moves, bounds and pictures of the grids with vector rewards."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array

MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)  # up, down, left, right
WATER, TREASURE, _AGENT = (170, 205, 235), (240, 170, 30), (200, 50, 50)


def after_move(row: Array, col: Array, action: Array) -> tuple[Array, Array]:
    """`(row, column)`, int32[] each, after an action int32[], not yet checked against the bounds."""
    step = jnp.asarray(MOVES)[action]
    return row + step[0], col + step[1]


def is_inside(row: Array, col: Array, shape: tuple[int, ...]) -> Array:
    """bool[], whether `(row, col)`, int32[] each, lies on a map of `shape` (rows, columns)."""
    return (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])


def draw_agent(background: np.ndarray, row: Array, col: Array) -> Array:
    """uint8[16 h, 16 w, 3], the agent on a map `[h, w, 3]`."""
    picture = jnp.asarray(background, jnp.uint8).at[row, col].set(jnp.asarray(_AGENT, jnp.uint8))
    return picture.repeat(16, 0).repeat(16, 1)
