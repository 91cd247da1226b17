"""Cart and pole, equal to gymnasium's dynamics by state injection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

INF = float("inf")


class CartPoleParams(NamedTuple):
    """SI units; angles in radians."""

    gravity: Array
    masscart: Array
    masspole: Array
    length: Array  # half of the pole
    force_mag: Array
    tau: Array
    theta_threshold: Array
    x_threshold: Array
    max_steps: Array

    @property
    def total_mass(self) -> Array:
        """Cart and pole."""
        return self.masscart + self.masspole

    @property
    def polemass_length(self) -> Array:
        """First moment of the pole."""
        return self.masspole * self.length


class CartPoleState(NamedTuple):
    """All float[]: m, m/s, rad, rad/s."""

    x: Array
    x_dot: Array
    theta: Array
    theta_dot: Array


@dataclass(frozen=True)
class CartPole:
    """Balance a pole on a cart (Barto, Sutton, Anderson 1983; gymnasium CartPole-v1).

    Observation: float[4], x, x_dot, theta, theta_dot. Action: 0 push left, 1 push right. Reward: 1 per step,
    the last included. Termination: |x| > 2.4 or |theta| > 12 degrees. Time limit: 500.
    """

    name: str = "CartPole"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """Positions within twice the thresholds, velocities unbounded."""
        high = (4.8, INF, 0.42, INF)
        return Box(tuple(-h for h in high), high, (4,))

    @property
    def action_space(self) -> Discrete:
        """Left, right."""
        return Discrete(2)

    def default_params(self) -> CartPoleParams:
        """CartPole-v1."""
        values = (9.8, 1.0, 0.1, 0.5, 10.0, 0.02, 12 * 2 * jnp.pi / 360, 2.4)
        return CartPoleParams(*map(real, values), max_steps=integer(500))

    def time_limit(self, params: CartPoleParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.max_steps

    def reset(self, key: Key, params: CartPoleParams) -> tuple[CartPoleState, Array]:
        """Uniform in [-0.05, 0.05]^4."""
        values = jax.random.uniform(key, (4,), params.gravity.dtype, -0.05, 0.05)
        return CartPoleState(*values), values

    def step(
        self, key: Key, state: CartPoleState, action: Array, params: CartPoleParams
    ) -> tuple[CartPoleState, Step]:
        """One Euler step of `tau` seconds."""
        x, x_dot, theta, theta_dot = state
        force = jnp.where(action == 1, params.force_mag, -params.force_mag)
        cos, sin = jnp.cos(theta), jnp.sin(theta)
        temp = (force + params.polemass_length * theta_dot**2 * sin) / params.total_mass
        theta_acc = (params.gravity * sin - cos * temp) / (
            params.length * (4.0 / 3.0 - params.masspole * cos**2 / params.total_mass)
        )
        x_acc = temp - params.polemass_length * theta_acc * cos / params.total_mass
        after = CartPoleState(
            x + params.tau * x_dot,
            x_dot + params.tau * x_acc,
            theta + params.tau * theta_dot,
            theta_dot + params.tau * theta_acc,
        )
        terminated = (jnp.abs(after.x) > params.x_threshold) | (jnp.abs(after.theta) > params.theta_threshold)
        return after, Step(jnp.stack(after), self.reward(params, state, action, after), terminated, {})

    def reward(
        self, params: CartPoleParams, state: CartPoleState, action: Array, next_state: CartPoleState
    ) -> Array:
        """float[], 1."""
        return jnp.ones((), params.gravity.dtype)


ENVIRONMENTS = {
    "CartPole": Entry(CartPole),
}
