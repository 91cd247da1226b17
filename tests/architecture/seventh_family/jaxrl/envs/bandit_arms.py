"""Bernoulli arms: an environment without memory, for the bandit family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer


class ArmsParams(NamedTuple):
    """Parameters of `Arms`.

    p: float[K], chance of reward 1; limit: int32[], pulls per episode.
    """

    p: Array
    limit: Array


@dataclass(frozen=True)
class Arms:
    """K arms; the observation is the last reward, float[1]. Never terminates."""

    arms: int = 4
    name: str = "BernoulliArms"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """The last reward."""
        return Box(0.0, 1.0, (1,))

    @property
    def action_space(self) -> Discrete:
        """The arms."""
        return Discrete(self.arms)

    def default_params(self) -> ArmsParams:
        """Evenly spaced chances."""
        return ArmsParams(jnp.linspace(0.2, 0.8, self.arms), integer(20))

    def time_limit(self, params: ArmsParams) -> Array:
        """int32[], pulls per episode."""
        return params.limit

    def reset(self, key: Key, params: ArmsParams) -> tuple[Array, Array]:
        """No reward yet."""
        return jnp.zeros((), params.p.dtype), jnp.zeros(1, params.p.dtype)

    def step(self, key: Key, state: Array, action: Array, params: ArmsParams) -> tuple[Array, Step]:
        """Pulls one arm."""
        reward = jax.random.bernoulli(key, params.p[action]).astype(params.p.dtype)
        return reward, Step(reward[None], reward, jnp.zeros((), bool), {})


ENVIRONMENTS = {"BernoulliArms": Entry(Arms)}
