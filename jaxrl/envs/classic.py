"""Classic control, equal to gymnasium's dynamics by state injection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step


class CartPoleParams(NamedTuple):
    """SI units; angles in radians. gymnasium's CartPole-v1 values by default."""

    gravity: Array
    masscart: Array
    masspole: Array
    length: Array  # half of the pole
    force_mag: Array
    tau: Array
    theta_threshold: Array
    x_threshold: Array
    max_steps: Array


class CartPoleState(NamedTuple):
    """All float[]."""

    x: Array
    x_dot: Array
    theta: Array
    theta_dot: Array


@dataclass(frozen=True)
class CartPole:
    """Balance a pole on a cart (Barto, Sutton, Anderson 1983; gymnasium CartPole-v1).

    obs float[4]: x, x_dot, theta, theta_dot; actions: push left, push right; reward 1 per step; terminated
    outside |x| <= 2.4 or |theta| <= 12 degrees; time limit 500.
    """

    name: str = "CartPole"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """Positions within twice the thresholds, velocities unbounded."""
        inf = float("inf")
        high = (4.8, inf, 0.42, inf)
        return Box(tuple(-h for h in high), high, (4,))

    @property
    def action_space(self) -> Discrete:
        """Left, right."""
        return Discrete(2)

    def default_params(self) -> CartPoleParams:
        """CartPole-v1."""
        values = (9.8, 1.0, 0.1, 0.5, 10.0, 0.02, 12 * 2 * jnp.pi / 360, 2.4)
        return CartPoleParams(
            *(jnp.full((), v, jnp.float32) for v in values), max_steps=jnp.full((), 500, jnp.int32)
        )

    def time_limit(self, params: CartPoleParams) -> Array:
        """int32[]."""
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
        total_mass = params.masscart + params.masspole
        polemass_length = params.masspole * params.length
        temp = (force + polemass_length * theta_dot**2 * sin) / total_mass
        theta_acc = (params.gravity * sin - cos * temp) / (
            params.length * (4.0 / 3.0 - params.masspole * cos**2 / total_mass)
        )
        x_acc = temp - polemass_length * theta_acc * cos / total_mass
        state = CartPoleState(
            x + params.tau * x_dot,
            x_dot + params.tau * x_acc,
            theta + params.tau * theta_dot,
            theta_dot + params.tau * theta_acc,
        )
        terminated = (jnp.abs(state.x) > params.x_threshold) | (jnp.abs(state.theta) > params.theta_threshold)
        return state, Step(jnp.stack(state), jnp.ones((), params.gravity.dtype), terminated, {})
