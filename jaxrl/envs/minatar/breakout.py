"""Breakout of MinAtar: a paddle, a ball and three rows of bricks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, float_dtype, integer
from jaxrl.envs.minatar.board import SIDE, Game, cell, observation

_STEPS = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)], np.int32)  # (rows, columns) of NW, NE, SE, SW


class BreakoutParams(NamedTuple):
    """Parameters of `Breakout`.

    limit: int32[] steps of an episode.
    """

    limit: Array


class BreakoutState(NamedTuple):
    """State of `Breakout`.

    pos: int32[], column of the paddle; row, col: int32[], the ball; last_row, last_col: int32[], where it was
    a step before; direction: int32[], 0 to 3 for NW, NE, SE, SW; strike: bool[], whether it has just hit a
    brick; bricks: bool[10, 10].
    """

    pos: Array
    row: Array
    col: Array
    last_row: Array
    last_col: Array
    direction: Array
    strike: Array
    bricks: Array


@dataclass(frozen=True)
class Breakout(Game):
    """Keep a ball in play that clears bricks (MinAtar Breakout, without sticky actions).

    Observation: float[10, 10, 4], paddle, ball, where the ball was, bricks. Action: none, left, right.
    Reward: 1 per brick. Termination: the ball passes the paddle. Time limit: 1000.

    Only the side on which the ball starts is random. A cleared wall is built again when the ball comes down.
    """

    name: str = "Breakout"
    reward_dim: None = None
    ACTIONS = 3
    COLOURS = ((90, 200, 90), (240, 240, 240), (110, 110, 120), (200, 110, 70))

    def default_params(self) -> BreakoutParams:
        """MinAtar's game."""
        return BreakoutParams(integer(1000))

    def reset(self, key: Key, params: BreakoutParams) -> tuple[BreakoutState, Array]:
        """The ball in a corner under the bricks, on either side with probability 1/2."""
        right = jax.random.bernoulli(key)
        row, col = integer(3), jnp.where(right, integer(SIDE - 1), integer(0))
        direction = jnp.where(right, integer(3), integer(2))
        state = BreakoutState(
            integer(4), row, col, row, col, direction, strike=jnp.asarray(False), bricks=_wall()
        )
        return state, self._obs(state, params)

    def step(
        self, key: Key, state: BreakoutState, action: Array, params: BreakoutParams
    ) -> tuple[BreakoutState, Step]:
        """The paddle, then the ball, which bounces from walls, bricks and paddle."""
        s, d = state, state.direction
        pos = jnp.clip(s.pos + jnp.where(action == 2, 1, 0) - jnp.where(action == 1, 1, 0), 0, SIDE - 1)
        step = jnp.asarray(_STEPS)[d]
        row, col = s.row + step[0], s.col + step[1]
        d = jnp.where((col < 0) | (col >= SIDE), d ^ 1, d)  # mirrored sideways
        col = jnp.clip(col, 0, SIDE - 1)

        top, down = row < 0, row == SIDE - 1
        brick = ~top & s.bricks[jnp.maximum(row, 0), col]
        breaks = brick & ~s.strike
        straight = down & (s.col == pos)
        back = down & ~straight & (col == pos)
        d = jnp.where(top | breaks | straight, 3 - d, jnp.where(back, (d + 2) % 4, d))
        bricks = s.bricks & ~(cell(row, col) & breaks)
        bricks = jnp.where(down & ~s.bricks.any(), _wall(), bricks)
        row = jnp.where(top, 0, jnp.where(breaks | straight | back, s.row, row))
        after = BreakoutState(pos, row, col, s.row, s.col, d, brick, bricks)
        reward = breaks.astype(float_dtype(params))
        return after, Step(self._obs(after, params), reward, down & ~straight & ~back, {})

    def _obs(self, s: BreakoutState, params: BreakoutParams) -> Array:
        maps = (cell(SIDE - 1, s.pos), cell(s.row, s.col), cell(s.last_row, s.last_col), s.bricks)
        return observation(maps, params)


def _wall() -> Array:
    """bool[10, 10], three rows of bricks."""
    return jnp.zeros((SIDE, SIDE), bool).at[1:4].set(True)


ENVIRONMENTS = {"Breakout": Entry(Breakout)}
