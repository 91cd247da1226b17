"""Freeway of MinAtar: a chicken crosses eight lanes of cars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, float_dtype, integer
from jaxrl.envs.minatar.board import SIDE, RandomGame, cell, cells, observation

_COLUMN = 4  # of the chicken
_CARS = 8
_SLOWEST = 5  # longest period of a car; there is one channel per period
_TRAILS = ((200, 90, 60), (170, 80, 60), (140, 70, 60), (110, 60, 60), (80, 50, 60))


class FreewayParams(NamedTuple):
    """Parameters of `Freeway`.

    cooldown: int32[], steps between moves of the chicken; limit: int32[] steps of an episode.
    """

    cooldown: Array
    limit: Array


class FreewayState(NamedTuple):
    """State of `Freeway`.

    row: int32[], of the chicken; cool: int32[], steps until it can move; col: int32[8], columns of the cars;
    wait: int32[8], steps until they move; speed: int32[8], their periods 1 to 5, negative to the left.
    """

    row: Array
    cool: Array
    col: Array
    wait: Array
    speed: Array


@dataclass(frozen=True)
class Freeway(RandomGame):
    """Cross the road as often as possible (MinAtar Freeway, without sticky actions).

    Observation: float[10, 10, 7], chicken, cars, and for each period 1 to 5 of a car the cell behind it.
    Action: none, up, down. Reward: 1 on the other side, whereupon the chicken is back and all cars have new
    periods. Termination: never; a car sends the chicken back. Time limit: 2500.
    """

    name: str = "Freeway"
    reward_dim: None = None
    ACTIONS = 3
    COLOURS = ((240, 240, 90), (240, 110, 60), *_TRAILS)
    u_shape = (_CARS, 2)  # period and direction of every car

    def default_params(self) -> FreewayParams:
        """MinAtar's numbers."""
        return FreewayParams(integer(3), integer(2500))

    def reset(self, key: Key, params: FreewayParams) -> tuple[FreewayState, Array]:
        """The chicken at the bottom, all cars in the first column, with uniform periods."""
        speed = _speeds(jax.random.uniform(key, self.u_shape, float_dtype(params)))
        start = jnp.zeros(_CARS, jnp.int32)
        state = FreewayState(integer(SIDE - 1), integer(params.cooldown), start, jnp.abs(speed), speed)
        return state, self._obs(state, params)

    def step_u(
        self, state: FreewayState, action: Array, u: Array, params: FreewayParams
    ) -> tuple[FreewayState, Step]:
        """The chicken, then the cars; `u`, float[8, 2], has the quantiles of new periods and directions."""
        walks = ((action == 1) | (action == 2)) & (state.cool == 0)
        row = jnp.clip(state.row + jnp.where(walks, jnp.where(action == 1, -1, 1), 0), 0, SIDE - 1)
        cool = jnp.where(walks, params.cooldown, state.cool)
        across = row == 0
        speed = jnp.where(across, _speeds(u), state.speed)
        wait = jnp.where(across, jnp.abs(speed), state.wait)
        row = jnp.where(across, SIDE - 1, row)

        drives = wait == 0
        col = jnp.where(drives, (state.col + jnp.sign(speed)) % SIDE, state.col)
        wait = jnp.where(drives, jnp.abs(speed), wait - 1)
        near = jnp.arange(1, _CARS + 1) == row
        hit = jnp.any(near & ((state.col == _COLUMN) | (col == _COLUMN)))
        row = jnp.where(hit, SIDE - 1, row)
        after = FreewayState(row, jnp.maximum(cool - 1, 0), col, wait, speed)
        reward = across.astype(float_dtype(params))
        return after, Step(self._obs(after, params), reward, jnp.asarray(False), {})

    def _obs(self, s: FreewayState, params: FreewayParams) -> Array:
        behind, period = (s.col - jnp.sign(s.speed)) % SIDE, jnp.abs(s.speed)
        trails = [cells(behind, period == n) for n in range(1, _SLOWEST + 1)]
        cars = cells(s.col, jnp.ones(_CARS, bool))
        return observation((cell(s.row, _COLUMN), cars, *trails), params)


def _speeds(u: Array) -> Array:
    """Signed periods int32[8] from quantiles float[8, 2] of size and sign."""
    size = 1 + jnp.minimum((u[:, 0] * _SLOWEST).astype(jnp.int32), _SLOWEST - 1)
    return jnp.where(u[:, 1] < 0.5, size, -size)


ENVIRONMENTS = {"Freeway": Entry(Freeway)}
