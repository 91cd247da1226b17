"""Tiny environments with known returns, and policies for them."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Policy, Step


class CounterState(NamedTuple):
    h: jax.Array
    last: jax.Array


@dataclass(frozen=True)
class Counter:
    """obs = steps since the reset; reward 1 or, with `vector`, (1, 2); terminates after `end` steps."""

    end: int | None = None
    vector: bool = False
    name: str = "Counter"

    @property
    def observation_space(self):
        return Box(0.0, jnp.inf, ())

    @property
    def action_space(self):
        return Discrete(2)

    @property
    def reward_dim(self):
        return 2 if self.vector else None

    def default_params(self):
        return jnp.ones(())

    def reset(self, key, params):
        return jnp.zeros((), jnp.int32), jnp.zeros((), params.dtype)

    def step(self, key, state, action, params):
        h = state + 1
        reward = params * jnp.array([1.0, 2.0], params.dtype) if self.vector else params
        terminated = jnp.asarray(False) if self.end is None else h >= self.end
        return h, Step(h.astype(params.dtype), reward, terminated, {"h": h})


@dataclass(frozen=True)
class Limited(Counter):
    """Its own time limit is the parameter, which it also pays per step."""

    def time_limit(self, params):
        return params.astype(jnp.int32)


@dataclass(frozen=True)
class TwoLengths:
    """Episodes of 1 or 100 steps, half each, reward 1 per step: the mean return is 50.5."""

    name: str = "TwoLengths"
    observation_space = Box(0.0, 100.0, ())
    action_space = Discrete(2)
    reward_dim = None

    def default_params(self):
        return jnp.ones(())

    def reset(self, key, params):
        left = jnp.where(jax.random.bernoulli(key), 100, 1).astype(jnp.int32)
        return left, left.astype(jnp.float32)

    def step(self, key, state, action, params):
        left = state - 1
        return left, Step(left.astype(jnp.float32), params, left <= 0, {})


@dataclass(frozen=True)
class Starts:
    """Starts of distribution `params` `[n]`; observations are the start for the `end` steps of an episode."""

    n: int = 6
    end: int = 2
    name: str = "Starts"
    reward_dim = None

    @property
    def observation_space(self):
        return Discrete(self.n)

    @property
    def action_space(self):
        return Discrete(2)

    def default_params(self):
        return jnp.full(self.n, 1 / self.n)

    def reset(self, key, params):
        s = jax.random.categorical(key, jnp.log(params)).astype(jnp.int32)
        return CounterState(jnp.zeros((), jnp.int32), s), s

    def step(self, key, state, action, params):
        state = CounterState(state.h + 1, state.last)
        return state, Step(state.last, jnp.ones(()), state.h >= self.end, {})


def constant_policy(action=0):
    return Policy(lambda key, obs, memory: (jnp.int32(action), (), memory))


def random_policy(n_actions=2):
    return Policy(lambda key, obs, memory: (jax.random.randint(key, (), 0, n_actions), (), memory))
