"""Asterix of MinAtar: gather gold and avoid enemies that cross the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, float_dtype, integer, real
from jaxrl.envs.minatar.board import SIDE, RandomGame, cell, cells, observation

_SLOTS = 8
_MOVES = np.array([(0, 0), (0, -1), (-1, 0), (0, 1), (1, 0)], np.int32)  # none, left, up, right, down


class AsterixParams(NamedTuple):
    """Parameters of `Asterix`.

    spawn, move: int32[], first steps between new objects and between moves; ramp: int32[], steps until both
    become shorter; gold: float[], probability that an object is gold; limit: int32[] steps of an episode.
    """

    spawn: Array
    move: Array
    ramp: Array
    gold: Array
    limit: Array


class AsterixState(NamedTuple):
    """State of `Asterix`.

    row, col: int32[], the player; exists, gold: bool[8], objects in rows 1 to 8 and which of them are gold;
    at: int32[8], their columns; way: int32[8], 1 to the right, -1 to the left; spawn, move: int32[], steps
    between objects and between their moves; spawn_in, move_in, ramp_in: int32[], steps left; ramps: int32[],
    how often both became shorter.
    """

    row: Array
    col: Array
    exists: Array
    gold: Array
    at: Array
    way: Array
    spawn: Array
    move: Array
    spawn_in: Array
    move_in: Array
    ramp_in: Array
    ramps: Array


@dataclass(frozen=True)
class Asterix(RandomGame):
    """Gather gold among enemies that become more and faster (MinAtar Asterix, without sticky actions).

    Observation: float[10, 10, 4], player, enemies, the cells behind objects, gold. Action: none, left, up,
    right, down. Reward: 1 per gold. Termination: an enemy is met. Time limit: 1000.
    """

    name: str = "Asterix"
    reward_dim: None = None
    ACTIONS = 5
    COLOURS = ((90, 200, 90), (220, 70, 60), (90, 90, 110), (240, 200, 60))
    u_shape = (3,)  # side, kind and row of a new object

    def default_params(self) -> AsterixParams:
        """MinAtar's numbers."""
        return AsterixParams(integer(10), integer(5), integer(100), real(1 / 3), integer(1000))

    def reset(self, key: Key, params: AsterixParams) -> tuple[AsterixState, Array]:
        """An empty board, the player in its middle."""
        none, zero = jnp.zeros(_SLOTS, bool), jnp.zeros(_SLOTS, jnp.int32)
        spawn, move, ramp = (integer(x) for x in (params.spawn, params.move, params.ramp))
        timers = (spawn, move, spawn, move, ramp, integer(0))
        state = AsterixState(integer(5), integer(5), none, none, zero, zero + 1, *timers)
        return state, self._obs(state, params)

    def step_u(
        self, state: AsterixState, action: Array, u: Array, params: AsterixParams
    ) -> tuple[AsterixState, Step]:
        """A new object, the player's move, the objects' move.

        u: float[3], of the new object: it comes from the left where u[0] < 1/2 and is gold where
        u[1] < `gold`; u[2] is the quantile of its row among the empty ones.
        """
        s = _spawn(state, u, params)
        step = jnp.asarray(_MOVES)[action]
        s = s._replace(row=jnp.clip(s.row + step[0], 1, _SLOTS), col=jnp.clip(s.col + step[1], 0, SIDE - 1))
        s, first, met = _contact(s)
        s, second, met_later = _contact(_drift(s))
        s = _ramp(s._replace(spawn_in=s.spawn_in - 1, move_in=s.move_in - 1), params)
        reward = (first + second).astype(float_dtype(params))
        return s, Step(self._obs(s, params), reward, met | met_later, {})

    def _obs(self, s: AsterixState, params: AsterixParams) -> Array:
        enemies, gold = cells(s.at, s.exists & ~s.gold), cells(s.at, s.exists & s.gold)
        behind = cells(s.at - s.way, s.exists)
        return observation((cell(s.row, s.col), enemies, behind, gold), params)


def _spawn(s: AsterixState, u: Array, params: AsterixParams) -> AsterixState:
    """An object in a uniformly drawn empty row, at the border from which it comes."""
    due, empty = s.spawn_in == 0, ~s.exists
    count = empty.sum()
    rank = jnp.minimum((u[2] * count).astype(jnp.int32), count - 1)
    new = due & empty & (jnp.cumsum(empty) - 1 == rank)
    right = u[0] < 0.5
    return s._replace(
        exists=s.exists | new,
        gold=jnp.where(new, u[1] < params.gold, s.gold),
        at=jnp.where(new, jnp.where(right, 0, SIDE - 1), s.at),
        way=jnp.where(new, jnp.where(right, 1, -1), s.way),
        spawn_in=jnp.where(due, s.spawn, s.spawn_in),
    )


def _contact(s: AsterixState) -> tuple[AsterixState, Array, Array]:
    """`(state, gold taken int32[], whether an enemy is met bool[])` in the player's cell."""
    here = s.exists & (jnp.arange(1, _SLOTS + 1) == s.row) & (s.at == s.col)
    taken = here & s.gold
    return s._replace(exists=s.exists & ~taken), taken.sum(), (here & ~s.gold).any()


def _drift(s: AsterixState) -> AsterixState:
    """Objects whose timer is 0 move a column and leave at the border."""
    moves = s.move_in == 0
    at = jnp.where(moves & s.exists, s.at + s.way, s.at)
    return s._replace(
        at=at,
        exists=s.exists & (at >= 0) & (at < SIDE),
        move_in=jnp.where(moves, s.move, s.move_in),
    )


def _ramp(s: AsterixState, params: AsterixParams) -> AsterixState:
    """Objects come more often, and every second time move faster, until both happen in every step."""
    ramping = (s.spawn > 1) | (s.move > 1)
    waits = s.ramp_in >= 0
    due = ramping & ~waits
    return s._replace(
        move=s.move - (due & (s.move > 1) & (s.ramps % 2 == 1)),
        spawn=s.spawn - (due & (s.spawn > 1)),
        ramps=s.ramps + due,
        ramp_in=jnp.where(due, params.ramp, s.ramp_in - (ramping & waits)),
    )


ENVIRONMENTS = {"Asterix": Entry(Asterix)}
