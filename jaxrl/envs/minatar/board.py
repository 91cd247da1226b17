"""What the games share: the board with its cells, observations and pictures, and the spaces of a game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import float_dtype

SIDE = 10
"""Rows and columns of the board."""
_EMPTY = (20, 20, 30)
_PIXELS = 16


class Game:
    """Spaces, time limit and picture of a game; the game itself has `reset`, `step` and `_obs`.

    ACTIONS: number of actions; COLOURS: colour of each channel of an observation.
    """

    ACTIONS: ClassVar[int]
    COLOURS: ClassVar[tuple[tuple[int, int, int], ...]]

    @property
    def observation_space(self) -> Box:
        """0 or 1 for each cell and channel."""
        return Box(0.0, 1.0, (SIDE, SIDE, len(self.COLOURS)))

    @property
    def action_space(self) -> Discrete:
        """The actions in the order that the game's docstring has."""
        return Discrete(self.ACTIONS)

    def time_limit(self, params: Any) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def render(self, state: Any, params: Any) -> Array:
        """A picture of the board, uint8[160, 160, 3]."""
        return picture(self._obs(state, params), self.COLOURS)


class RandomGame(Game):
    """A game whose steps are random; it has `step_u(state, action, u, params)` in place of `step`.

    u_shape: shape of the uniform numbers `u` that a step takes.
    """

    u_shape: ClassVar[tuple[int, ...]]

    def step(self, key: Key, state: Any, action: Array, params: Any) -> tuple[Any, Step]:
        """`step_u` with uniform numbers in [0, 1)."""
        u = jax.random.uniform(key, self.u_shape, float_dtype(params))
        return self.step_u(state, action, u, params)


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
