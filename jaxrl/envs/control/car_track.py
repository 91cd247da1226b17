"""A miniature race car on a closed track, in coordinates along it (Prajapat et al., arXiv 2307.13372).

Legend: `K` knots of the track. Distances in m, angles in rad, times in s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real
from jaxrl.envs.wrappers.set_reward import SetReward, set_reward

# coordinates along the line end at its centre of curvature, 1 - kappa d = 0, which lies inside the bounds of
# two bends: progress would jump there
_LEAST_STRETCH = 0.1

# curvature (1/m) and bounds of the lateral offset (m) at 84 knots, one lap; the last knot is followed by the
# first one
_SPACING, _LENGTH = 0.197089, 16.4076
_KAPPA = """1.90 1.54 0.71 -0.04 -0.09 -0.14 -0.09 0.89 1.92 3.58 4.63 3.95 1.91 -0.26 -3.08 -4.24 -3.79
-2.76 -1.74 -1.65 -1.11 -0.63 -0.92 -1.29 -1.46 -1.41 -1.60 -1.62 -1.63 -1.62 -1.18 -0.94 -0.06 0.90 1.64
1.93 3.53 2.59 1.76 2.15 1.97 0.93 -0.85 -4.66 -5.29 -0.48 4.85 5.33 2.63 1.71 1.19 0.75 0.33 -0.26 -0.86
-0.26 0.40 0.83 0.79 0.77 0.77 0.80 0.81 0.75 0.70 0.65 0.63 0.62 0.63 0.65 0.70 0.75 0.81 0.74 0.50 0.30
0.24 0.29 0.31 0.62 1.31 2.15 2.66 4.32"""
_UPPER = """0.20 0.26 0.27 0.27 0.27 0.27 0.27 0.27 0.25 0.22 0.07 0.21 0.23 0.22 0.24 0.28 0.23 0.17 0.21
0.25 0.27 0.27 0.22 0.20 0.23 0.25 0.26 0.27 0.28 0.27 0.25 0.23 0.24 0.25 0.23 0.16 0.11 0.22 0.26 0.26
0.23 0.09 0.14 0.24 0.27 0.21 0.09 0.28 0.25 0.27 0.27 0.22 0.13 0.17 0.27 0.25 0.19 0.13 0.08 0.07 0.09
0.14 0.21 0.25
0.27 0.27 0.25 0.21 0.15 0.11 0.08 0.08 0.09 0.11 0.14 0.19 0.23 0.25 0.27 0.27 0.26 0.22 0.09 0.18"""
_LOWER = """0.21 0.11 0.08 0.08 0.08 0.08 0.08 0.08 0.11 0.23 0.28 0.21 0.12 0.13 0.12 0.07 0.15 0.18 0.15
0.11 0.08 0.09 0.14 0.15 0.13 0.10 0.09 0.08 0.07 0.07 0.10 0.12 0.11 0.10 0.13 0.24 0.27 0.20 0.10 0.09
0.19 0.27 0.26 0.22 0.08 0.20 0.27 0.24 0.14 0.08 0.09 0.16 0.26 0.27 0.16 0.12 0.18 0.23 0.27 0.28 0.27
0.23 0.17 0.10
0.08 0.08 0.10 0.16 0.21 0.25 0.27 0.27 0.25 0.22 0.17 0.13 0.10 0.08 0.08 0.10 0.19 0.27 0.27 0.23"""


class CarParams(NamedTuple):
    """Track: knots, kappa, upper, lower: float[K]; length: float[]. The others float[], limit int32[].

    cm1, cm2: motor, N and N s/m; cr0, cr2: rolling resistance and drag; b, c, d of the rear and front tyres
    (d in N); m: kg; inertia: kg m^2; l_f, l_r: axles from the centre of mass; dt: s; finish: where the lap is
    done; step_cost, crash, prize: rewards.
    """

    knots: Array
    kappa: Array
    upper: Array
    lower: Array
    length: Array
    cm1: Array
    cm2: Array
    cr0: Array
    cr2: Array
    b_r: Array
    c_r: Array
    d_r: Array
    b_f: Array
    c_f: Array
    d_f: Array
    m: Array
    inertia: Array
    l_f: Array
    l_r: Array
    dt: Array
    finish: Array
    step_cost: Array
    crash: Array
    prize: Array
    limit: Array


class CarState(NamedTuple):
    """float[] each. s: progress along the track; d: offset to its left; mu: heading against it; v_x, v_y:
    speed in the car's frame, m/s; r: yaw rate, rad/s.
    """

    s: Array
    d: Array
    mu: Array
    v_x: Array
    v_y: Array
    r: Array


@dataclass(frozen=True)
class CarTrack:
    """Drives by motor duty and steering, clipped to [-1, 1]^2, from rest at s = 0, d = +0.1 or -0.1.

    Observation: float[5], the state without the yaw rate. Reward: `step_cost`, plus `crash` where the car
    leaves the bounds or nears the line's centre of curvature (1 - kappa d <= 0.1, which the release allows),
    plus `prize` at the finish; both end the episode. A crash beyond the finish, or in a state that is not
    finite, leaves the state as it was: only a finished lap has `s >= finish`. Progress is not paid here but
    by `car_track`. Time limit: 700 steps of 0.03 s. One Runge-Kutta step of a dynamic model with tyre forces
    and one of a kinematic model, mixed by the speed.
    """

    name: str = "CarTrack"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """Five unbounded numbers."""
        return Box(-np.inf, np.inf, (5,))

    @property
    def action_space(self) -> Box:
        """Duty and steering angle."""
        return Box(-1.0, 1.0, (2,))

    def default_params(self) -> CarParams:
        """The released constants and track."""
        tables = [np.array(text.split(), float) for text in (_KAPPA, _UPPER, _LOWER)]
        kappa, upper, lower = (jnp.asarray(x, jnp.result_type(float)) for x in tables)
        knots = jnp.asarray(_SPACING * np.arange(len(tables[0])), kappa.dtype)
        constants = {
            "length": _LENGTH, "cm1": 0.287, "cm2": 0.054527, "cr0": 0.051891, "cr2": 0.000348,
            "b_r": 3.3852 / 1.2, "c_r": 1.2691, "d_r": 0.1737 * 1.2,
            "b_f": 2.579, "c_f": 1.2, "d_f": 1.05 * 0.192,
            "m": 0.041, "inertia": 27.8e-6, "l_f": 0.029, "l_r": 0.033, "dt": 0.03,
            "finish": 16.4, "step_cost": -0.01, "crash": -1.0, "prize": 1.0,
        }  # fmt: skip
        scalars = {name: real(value) for name, value in constants.items()}
        return CarParams(knots, kappa, upper, -lower, limit=integer(700), **scalars)

    def time_limit(self, params: CarParams) -> Array:
        """int32[], steps after which an episode is cut."""
        return params.limit

    def reset(self, key: Key, params: CarParams) -> tuple[CarState, Array]:
        """Starts at rest on one side of the centre line."""
        zero = jnp.zeros((), params.dt.dtype)
        d = jnp.where(jax.random.bernoulli(key), 0.1, -0.1).astype(zero.dtype)
        state = CarState(zero, d, zero, zero, zero, zero)
        return state, _observed(state)

    def step(self, key: Key, state: CarState, action: Array, params: CarParams) -> tuple[CarState, Step]:
        """Advances by one step; `key` is not used."""
        after = advance(state, action, params)
        inside = (after.d < _at(params.upper, after.s, params)) & (
            after.d > _at(params.lower, after.s, params)
        )
        finite = jnp.isfinite(jnp.stack(after)).all()
        crashed = ~(inside & (1 - _at(params.kappa, after.s, params) * after.d > _LEAST_STRETCH) & finite)
        finished = (after.s >= params.finish) & ~crashed
        reward = params.step_cost + jnp.where(crashed, params.crash, 0) + jnp.where(finished, params.prize, 0)
        after = tree_where(crashed & ~(finite & (after.s < params.finish)), state, after)
        return after, Step(_observed(after), reward, crashed | finished, {})

    def item(self, params: CarParams, state: CarState) -> Array:
        """float[], the progress along the track in m."""
        return state.s


def advance(state: CarState, action: Array, params: CarParams) -> CarState:
    """The state `dt` later, where `action` float[2] is held."""
    duty, steer = jnp.clip(action, min=-1, max=1)
    dynamic = CarState(*_runge_kutta(lambda x: _dynamic(CarState(*x), duty, steer, params), state, params.dt))
    speed = jnp.sqrt(state.v_x**2 + state.v_y**2)
    rolling = _runge_kutta(
        lambda x: _kinematic(*x, duty, steer, params), (state.s, state.d, state.mu, speed), params.dt
    )
    beta = _slip_angle(steer, params)
    v_x, v_y = rolling[3] * jnp.cos(beta), rolling[3] * jnp.sin(beta)
    kinematic = CarState(*rolling[:3], v_x, v_y, v_x * jnp.tan(steer) / (params.l_f + params.l_r))
    share = jnp.clip((state.v_x - 0.3) / 0.2, min=0, max=1)
    return jax.tree.map(lambda fast, low: share * fast + (1 - share) * low, dynamic, kinematic)


def _dynamic(x: CarState, duty: Array, steer: Array, p: CarParams) -> tuple[Array, ...]:
    """Time derivatives with tyre forces."""
    a_f = -jnp.arctan((p.l_f * x.r + x.v_y) / (x.v_x + 1e-5)) + steer
    a_r = jnp.arctan((p.l_r * x.r - x.v_y) / (x.v_x + 1e-5))
    force = p.cm1 * duty - p.cm2 * x.v_x * duty - p.cr2 * x.v_x**2 - p.cr0
    rear = p.d_r * jnp.sin(p.c_r * jnp.arctan(p.b_r * a_r))
    front = p.d_f * jnp.sin(p.c_f * jnp.arctan(p.b_f * a_f))
    kappa = _at(p.kappa, x.s, p)
    s = (x.v_x * jnp.cos(x.mu) - x.v_y * jnp.sin(x.mu)) / _stretch(kappa, x.d)
    return (
        s,
        x.v_x * jnp.sin(x.mu) + x.v_y * jnp.cos(x.mu),
        x.r - kappa * s,
        (force - front * jnp.sin(steer) + p.m * x.v_y * x.r) / p.m,
        (rear + front * jnp.cos(steer) - p.m * x.v_x * x.r) / p.m,
        (front * p.l_f * jnp.cos(steer) - rear * p.l_r) / p.inertia,
    )


def _kinematic(
    s: Array, d: Array, mu: Array, v: Array, duty: Array, steer: Array, p: CarParams
) -> tuple[Array, ...]:
    """Time derivatives without slip; near rest the motor at least cancels friction, so that v stays >= 0."""
    beta, kappa = _slip_angle(steer, p), _at(p.kappa, s, p)
    holding = (p.cr0 + p.cr2 * v**2) / (p.cm1 - p.cm2 * v)
    duty = jnp.where(v <= 0.1, jnp.maximum(duty, holding), duty)
    along = v * jnp.cos(beta + mu) / _stretch(kappa, d)
    return (
        along,
        v * jnp.sin(beta + mu),
        v * jnp.sin(beta) / p.l_r - kappa * along,
        (p.cm1 * duty - p.cm2 * v * duty - p.cr0 - p.cr2 * v**2) / p.m,
    )


def _stretch(kappa: Array, d: Array) -> Array:
    """Way of the car per progress, held away from 0, which a step may cross before it is judged."""
    return jnp.maximum(1 - kappa * d, _LEAST_STRETCH)


def _slip_angle(steer: Array, p: CarParams) -> Array:
    return jnp.arctan(p.l_r * jnp.tan(steer) / (p.l_f + p.l_r))


def _runge_kutta(
    slope: Callable[[tuple[Array, ...]], tuple[Array, ...]], x: tuple[Array, ...], dt: Array
) -> tuple[Array, ...]:
    def at(k: tuple[Array, ...], part: Array | float) -> tuple[Array, ...]:
        return tuple(a + part * b for a, b in zip(x, k, strict=True))

    k1 = slope(tuple(x))
    k2 = slope(at(k1, dt / 2))
    k3 = slope(at(k2, dt / 2))
    k4 = slope(at(k3, dt))
    rows = zip(x, k1, k2, k3, k4, strict=True)
    return tuple(a + dt / 6 * (p + 2 * q + 2 * r + t) for a, p, q, r, t in rows)


def _at(table: Array, s: Array, p: CarParams) -> Array:
    """A table over the knots at `s`, linear between them and around the end of the lap."""
    return jnp.interp(s, p.knots, table, period=p.length)


def _observed(state: CarState) -> Array:
    return jnp.stack(state[:5])


@dataclass(frozen=True)
class Reach:
    """F(S) = the largest number in S, at least 0: the part of a line that has been seen. Statistic: float[].

    Items are float[]; the parameter is the origin, float[], from which items are counted.
    """

    def default_params(self) -> Array:
        """The origin 0."""
        return real(0.0)

    def holds(self, items: Array) -> np.ndarray:
        """bool[n], which `items` float[n] are finite."""
        return np.isfinite(np.asarray(items))

    def init(self, params: Array) -> Array:
        """The statistic of nothing seen."""
        return jnp.zeros_like(params)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """The part that is newly seen."""
        return jnp.maximum(item - params - stat, 0)

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """The maximum with the item, and the gain."""
        return jnp.maximum(stat, item - params), self.gain(params, stat, item)

    def value(self, params: Array, stat: Array) -> Array:
        """The maximum so far."""
        return stat


def car_track(*, show_stat: bool = False, modular: bool = False) -> SetReward:
    """Pays newly seen track, in m, on top of the car's costs, crash and prize. modular: its position."""
    return set_reward(CarTrack(), Reach(), show_stat, modular, on_top=True)


ENVIRONMENTS = {"CarTrack": Entry(car_track, inert=("finish", "prize", ".F"))}
