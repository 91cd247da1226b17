"""SpaceInvaders of MinAtar: a cannon against a formation of aliens that shoots back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp

from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, float_dtype, integer
from jaxrl.envs.minatar.board import SIDE, Game, cell, observation

_FASTEST = 6  # steps between moves of the aliens from the seventh wave on


class InvadersParams(NamedTuple):
    """Parameters of `SpaceInvaders`, all int32[].

    interval: steps between moves of the first wave; cooldown: steps between shots of the cannon; shot: steps
    between shots of the aliens; limit: steps of an episode.
    """

    interval: Array
    cooldown: Array
    shot: Array
    limit: Array


class InvadersState(NamedTuple):
    """State of `SpaceInvaders`.

    pos: int32[], column of the cannon; aliens, friendly, enemy: bool[10, 10], aliens and bullets; direction:
    int32[], -1 where the aliens move to the left; interval: int32[], steps between their moves; move, shot,
    cool: int32[], steps until they move, until they shoot, and until the cannon can.
    """

    pos: Array
    aliens: Array
    friendly: Array
    enemy: Array
    direction: Array
    interval: Array
    move: Array
    shot: Array
    cool: Array


@dataclass(frozen=True)
class SpaceInvaders(Game):
    """Shoot aliens that move faster the fewer they are (MinAtar SpaceInvaders, without sticky actions).

    Observation: float[10, 10, 6], cannon, aliens, aliens that move left, aliens that move right, own bullets,
    the aliens' bullets. Action: none, left, right, fire. Reward: 1 per alien hit. Termination: a bullet or an
    alien reaches the cannon, or the aliens turn while one is in the last row. Time limit: 1000.

    Nothing is random. A cleared wave is followed by one whose moves are a step faster.
    """

    name: str = "SpaceInvaders"
    reward_dim: None = None
    ACTIONS = 4
    COLOURS = (
        (90, 200, 90),
        (200, 200, 220),
        (190, 190, 240),
        (240, 190, 190),
        (240, 240, 90),
        (240, 80, 60),
    )

    def default_params(self) -> InvadersParams:
        """MinAtar's numbers."""
        return InvadersParams(integer(12), integer(5), integer(10), integer(1000))

    def reset(self, key: Key, params: InvadersParams) -> tuple[InvadersState, Array]:
        """The first wave, the cannon in column 5."""
        none = jnp.zeros((SIDE, SIDE), bool)
        timers = (integer(params.interval), integer(params.interval), integer(params.shot), integer(0))
        state = InvadersState(integer(5), _wave(), none, none, integer(-1), *timers)
        return state, self._obs(state, params)

    def step(
        self, key: Key, state: InvadersState, action: Array, params: InvadersParams
    ) -> tuple[InvadersState, Step]:
        """Cannon, bullets, aliens, their shot, hits, timers, the next wave: in this order."""
        s, struck = _bullets(_cannon(state, action, params))
        s, caught = _march(s)
        s = _fire(s, params)
        hits = s.aliens & s.friendly
        s = s._replace(
            aliens=s.aliens & ~hits,
            friendly=s.friendly & ~hits,
            cool=jnp.maximum(s.cool - 1, 0),
            move=s.move - 1,
            shot=s.shot - 1,
        )
        cleared = ~s.aliens.any()
        s = s._replace(
            interval=s.interval - (cleared & (s.interval > _FASTEST)),
            aliens=jnp.where(cleared, _wave(), s.aliens),
        )
        reward = hits.sum().astype(float_dtype(params))
        return s, Step(self._obs(s, params), reward, struck | caught, {})

    def _obs(self, s: InvadersState, params: InvadersParams) -> Array:
        cannon = cell(SIDE - 1, s.pos)
        left, right = s.aliens & (s.direction < 0), s.aliens & (s.direction > 0)
        return observation((cannon, s.aliens, left, right, s.friendly, s.enemy), params)


def _wave() -> Array:
    """bool[10, 10], 24 aliens."""
    return jnp.zeros((SIDE, SIDE), bool).at[:4, 2:8].set(True)


def _cannon(s: InvadersState, action: Array, params: InvadersParams) -> InvadersState:
    """Fires or moves."""
    fires = (action == 3) & (s.cool == 0)
    pos = jnp.clip(s.pos + jnp.where(action == 2, 1, 0) - jnp.where(action == 1, 1, 0), 0, SIDE - 1)
    return s._replace(
        friendly=s.friendly | (cell(SIDE - 1, s.pos) & fires),
        cool=jnp.where(fires, params.cooldown, s.cool),
        pos=pos,
    )


def _bullets(s: InvadersState) -> tuple[InvadersState, Array]:
    """Bullets fly a row; bool[], whether the cannon is struck."""
    friendly = jnp.roll(s.friendly, -1, axis=0).at[-1].set(False)
    enemy = jnp.roll(s.enemy, 1, axis=0).at[0].set(False)
    struck = enemy[-1, s.pos] | s.aliens[-1, s.pos]
    return s._replace(friendly=friendly, enemy=enemy), struck


def _march(s: InvadersState) -> tuple[InvadersState, Array]:
    """Aliens whose timer is 0 move sideways, or turn and move down; bool[], whether that ends the episode."""
    moves = s.move == 0
    turns = jnp.where(s.direction < 0, s.aliens[:, 0].any(), s.aliens[:, -1].any())
    moved = jnp.where(turns, jnp.roll(s.aliens, 1, axis=0), jnp.roll(s.aliens, s.direction, axis=1))
    caught = moves & ((turns & s.aliens[-1].any()) | moved[-1, s.pos])
    count = s.aliens.sum().astype(jnp.int32)
    after = s._replace(
        aliens=jnp.where(moves, moved, s.aliens),
        direction=jnp.where(moves & turns, -s.direction, s.direction),
        move=jnp.where(moves, jnp.minimum(count, s.interval), s.move),
    )
    return after, caught


def _fire(s: InvadersState, params: InvadersParams) -> InvadersState:
    """The lowest alien of the column nearest to the cannon shoots where the timer is 0."""
    fires = s.shot == 0
    distance = jnp.abs(jnp.arange(SIDE) - s.pos)
    column = jnp.argmin(jnp.where(s.aliens.any(0), distance, SIDE))
    row = SIDE - 1 - jnp.argmax(s.aliens[::-1, column])
    return s._replace(
        enemy=s.enemy | (cell(row, column) & fires),
        shot=jnp.where(fires, params.shot, s.shot),
    )


ENVIRONMENTS = {"SpaceInvaders": Entry(SpaceInvaders)}
