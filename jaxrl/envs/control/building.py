"""Building: heating and cooling of 23 zones of an office, with three or nine objectives.

Legend: `T` temperatures of the 23 zones in degrees C, `a` their heating (> 0) and cooling (< 0) powers, hour
`i = k + n` of step `n` in an episode that begins at hour `k`. Groups: zones 0-8, 9-15, 16-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import check_fields
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real
from jaxrl.envs.control import building_model as model

GROUPS = (9, 7, 7)  # zones of the lower, middle and upper part
_MEMBER = np.repeat(np.eye(3), GROUPS, axis=0)  # [23, 3]
_PEOPLE = 120.0
_GROUND = (18.3, 11.2, 6.8, 8.1, 10.3, 12.5, 19.2, 23.8, 27.9, 27.5, 26.3, 23.4)
_PRICE = (
    0.035, 0.033, 0.032, 0.029, 0.031, 0.034, 0.037, 0.039, 0.041, 0.036, 0.033, 0.032,
    0.030, 0.029, 0.029, 0.027, 0.028, 0.031, 0.030, 0.032, 0.032, 0.033, 0.035, 0.035,
)  # fmt: skip
_CARBON = (
    0.423, 0.438, 0.445, 0.443, 0.441, 0.439, 0.453, 0.467, 0.482, 0.463, 0.447, 0.434,
    0.426, 0.449, 0.459, 0.468, 0.481, 0.498, 0.498, 0.497, 0.430, 0.391, 0.396, 0.409,
)  # fmt: skip
# temperatures, outdoor, irradiance, ground, occupants, carbon, price
_LOW = np.array([0.0] * model.ZONES + [-40, 0, -40, -1, 0, 0])
_HIGH = np.array([40.0] * model.ZONES + [40, 1, 40, 1, 1, 1])


class BuildingParams(NamedTuple):
    """Parameters of `Building`.

    A_d: float[23, 23] and B_d: float[23, 26], the hourly dynamics T' = A_d T + B_d y with the input
    y = (ground, outdoor, a, irradiance), see `building_model`; outdoor: float[681], degrees C;
    irradiance: float[681], in 1030 W/m2; ground: float[12], price: float[24], carbon: float[24], repeated;
    noise: float[], standard deviation of price and carbon; offset_low, offset_high: int32[], first and last
    hour at which episodes begin; start: float[], temperature of all zones then; target: float[], the
    comfortable one; limit: int32[], steps.
    """

    A_d: Array
    B_d: Array
    outdoor: Array
    irradiance: Array
    ground: Array
    price: Array
    carbon: Array
    noise: Array
    offset_low: Array
    offset_high: Array
    start: Array
    target: Array
    limit: Array


class BuildingState(NamedTuple):
    """State of the building.

    T: float[23]; k, n: int32[]; norms: float[2, 3], sums of |a| per group in the last step and the one
    before; noise: float[2], that of price and carbon at hour k, which the first observation shows.
    """

    T: Array
    k: Array
    n: Array
    norms: Array
    noise: Array


@dataclass(frozen=True)
class Building:
    """Comfort, energy and smooth operation of a large office in San Diego (SustainGym; arXiv 2410.02236).

    Observation: float[29] in [0, 1]: temperatures, outdoor temperature, irradiance, ground temperature,
    occupants, carbon intensity, price; hours of step n - 1 are seen after it. Action: float[23], powers, not
    clipped (`clip_action` does). Reward: float[3], comfort, cost and ramping of the building, or float[9],
    comfort, energy and ramping of its lower, middle and upper part; all at most the number of zones.
    Ramping pays for the powers of the last two steps, not for the present ones, and 0 in the first two.
    Termination: never. Time limit: 480 steps of an hour.
    """

    objectives: Literal[3, 9] = 3
    """Number of objectives."""
    observe_past: bool = False
    """Whether n / limit and the mean |a| of each group in the last two steps are observed, too.

    Without them ramping is not Markov; the released environment does not show them.
    """
    name: str = "Building"

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def reward_dim(self) -> int:
        """`objectives`."""
        return self.objectives

    @property
    def observation_space(self) -> Box:
        """Scaled to [0, 1]; norms of actions are not bounded."""
        n = len(_LOW)
        if not self.observe_past:
            return Box(0.0, 1.0, (n,))
        return Box(0.0, (*(1.0,) * (n + 1), *(np.inf,) * 6), (n + 7,))

    @property
    def action_space(self) -> Box:
        """Power of each zone, cooling below 0."""
        return Box(-1.0, 1.0, (model.ZONES,))

    def default_params(self) -> BuildingParams:
        """The released building; matrices are computed on the host."""
        series = (*model.matrices(), *model.weather(), _GROUND, _PRICE, _CARBON)
        return BuildingParams(
            *(jnp.asarray(np.array(x)) for x in series),
            noise=real(0.02),
            offset_low=integer(1),
            offset_high=integer(200),
            start=real(20.0),
            target=real(20.0),
            limit=integer(480),
        )

    def time_limit(self, params: BuildingParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: BuildingParams) -> tuple[BuildingState, Array]:
        """All zones at `start`, in an hour drawn uniformly."""
        k_offset, k_noise = jax.random.split(key)
        dtype = params.noise.dtype
        state = BuildingState(
            T=jnp.full(model.ZONES, params.start),
            k=jax.random.randint(k_offset, (), params.offset_low, params.offset_high + 1, jnp.int32),
            n=integer(0),
            norms=jnp.zeros((2, 3), dtype),
            noise=params.noise * jax.random.normal(k_noise, (2,), dtype),
        )
        return state, self._obs(state, state.T, state.k, state.noise, params)

    def step(
        self, key: Key, state: BuildingState, action: Array, params: BuildingParams
    ) -> tuple[BuildingState, Step]:
        """`step_u` with two uniform numbers."""
        return self.step_u(state, action, jax.random.uniform(key, (2,), params.noise.dtype), params)

    def step_u(
        self, state: BuildingState, action: Array, u: Array, params: BuildingParams
    ) -> tuple[BuildingState, Step]:
        """One hour; `u` float[2] are the quantiles of the noise of price and carbon, not used in step 0."""
        eps = jnp.finfo(u.dtype).eps
        drawn = params.noise * jax.scipy.special.ndtri(jnp.clip(u, eps, 1 - eps))
        noise = jnp.where(state.n == 0, state.noise, drawn)
        hour, action = state.k + state.n, action.astype(params.noise.dtype)
        around = jnp.stack([params.ground[hour % 12], params.outdoor[hour]])
        y = jnp.concatenate([around, action, params.irradiance[hour, None]])
        T = jnp.dot(params.A_d, state.T, precision="highest") + jnp.dot(params.B_d, y, precision="highest")
        norm = _per_group(jnp.abs(action))
        reward = self._reward(T, norm, state, params.price[hour % 24] + noise[0], params)
        after = BuildingState(
            T=jnp.clip(T, 0, 40),
            k=state.k,
            n=state.n + 1,
            norms=jnp.stack([norm, state.norms[0]]),
            noise=state.noise,
        )
        obs = self._obs(after, state.T, hour, noise, params)
        return after, Step(obs, reward, jnp.asarray(False), {})

    def _reward(
        self, T: Array, norm: Array, state: BuildingState, price: Array, params: BuildingParams
    ) -> Array:
        sizes = np.array(GROUPS, params.noise.dtype)
        off, change = jnp.abs(T - params.target), jnp.abs(state.norms[0] - state.norms[1])
        late = state.n >= 2
        if self.objectives == 9:
            comfort, energy = sizes - _per_group(off) / 20, sizes - norm / 20
            return jnp.concatenate([comfort, energy, jnp.where(late, sizes - change, 0)])
        whole = jnp.abs(jnp.sum(state.norms[0]) - jnp.sum(state.norms[1]))
        comfort, cost = model.ZONES - jnp.sum(off) / 20, model.ZONES - price / max(_PRICE) * jnp.sum(norm)
        return jnp.stack([comfort, cost, jnp.where(late, model.ZONES - whole, 0)])

    def _obs(
        self, state: BuildingState, before: Array, hour: Array, noise: Array, params: BuildingParams
    ) -> Array:
        """What is seen at `hour` of `state`; `before`: temperatures float[23] that occupants depend on."""
        series = [
            params.outdoor[hour],
            params.irradiance[hour],
            params.ground[hour % 12],
            _occupants(jnp.mean(before)) / 1000,
            params.carbon[hour % 24] + noise[1],
            params.price[hour % 24] + noise[0],
        ]
        low, high = _LOW.astype(params.noise.dtype), _HIGH.astype(params.noise.dtype)
        seen = (jnp.clip(jnp.concatenate([state.T, jnp.stack(series)]), low, high) - low) / (high - low)
        if not self.observe_past:
            return seen
        sizes = np.array(GROUPS, params.noise.dtype)
        time = state.n.astype(seen.dtype) / params.limit.astype(seen.dtype)
        return jnp.concatenate([seen, time[None], (state.norms / sizes[None]).ravel()])

    def render(self, state: BuildingState, params: BuildingParams) -> Array:
        """uint8[364, 76, 3], the layers from the roof down as seen from above: blue 10, red 30 degrees C."""
        warm = jnp.clip((state.T - params.target) / 10, -1, 1)
        cold = jnp.clip(-warm, 0, 1)
        red, blue = 1 - cold, 1 - jnp.clip(warm, 0, 1)
        colours = (255 * jnp.stack([red, jnp.minimum(red, blue), blue], -1)).astype(jnp.uint8)
        colours = jnp.concatenate([colours, jnp.full((1, 3), 90, jnp.uint8)])
        return colours[jnp.asarray(_plan())]


def _per_group(x: Array) -> Array:
    """float[3], sums of `x` float[23]."""
    return jnp.dot(x, jnp.asarray(_MEMBER, x.dtype), precision="highest")


def _occupants(c: Array) -> Array:
    """float[], heat of the occupants by the mean temperature `c`, W."""
    M = _PEOPLE
    return (
        6.461927
        + 0.946892 * M
        + 0.0000255737 * M**2
        - 0.0627909 * c * M
        + 0.0000589172 * c * M**2
        - 0.19855 * c**2
        + 0.000940018 * c**2 * M
        - 0.00000149532 * c**2 * M**2
    )


def _plan() -> np.ndarray:
    """Zone int32[364, 76] of each pixel, one per m; 23 between the layers."""
    plan = np.full((model.LAYERS, 52, 76), model.ZONES, np.int32)
    x, y = np.arange(74) + 0.5, np.arange(49) + 0.5
    for i, zone in enumerate(model.zones()):
        inside = ((zone.y[0] <= y) & (y < zone.y[1]))[:, None] & ((zone.x[0] <= x) & (x < zone.x[1]))
        plan[zone.layer, 1:50, 1:75][inside] = i
    return plan[::-1].reshape(-1, 76)


ENVIRONMENTS = {
    "Building-3": Entry(Building),
    "Building-9": Entry(partial(Building, 9)),
}
