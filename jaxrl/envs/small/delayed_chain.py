"""A chain whose first action decides the reward at its end (Oh et al. 2020, 2007.08794)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Size, check_fields
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import Entry, integer, real

_FREE, _RIGHT, _WRONG, _AGENT = (235, 235, 235), (90, 170, 90), (200, 90, 90), (40, 60, 160)


class ChainParams(NamedTuple):
    """Parameters of `DelayedChain`.

    length: int32[] steps of an episode, at most `longest`; correct: int32[], the rewarded first action, 0 or
    1; reward: float[], magnitude of the reward at the end; noise: float[], of the rewards before it.
    """

    length: Array
    correct: Array
    reward: Array
    noise: Array


class ChainState(NamedTuple):
    """State of `DelayedChain`.

    t: int32[] steps done; first: int32[], the first action, -1 before it.
    """

    t: Array
    first: Array


@dataclass(frozen=True)
class DelayedChain:
    """Two actions of which the first counts, paid after a chain of steps that does not show it.

    Observation: int32[], the steps done; with `bits` the dict of that and float[bits], fair coins thrown at
    every step. Action: 0 or 1. Reward: in the last of `length` steps +1 if the first action was the correct
    one, -1 otherwise; before, +-`noise`, a fair coin at every step. Termination: after `length` steps. Time
    limit: longest + 1, which no episode reaches.

    A level has length U{shortest..longest} and either action as the correct one with probability 1/2.
    """

    longest: Size = 30
    """Length of the longest chain, at least `shortest`. Oh et al.: 30 in short levels, 50 in long ones."""
    shortest: Size = 5
    """Length of the shortest chain of `sample_params`, at least 1."""
    noisy: bool = False
    """Whether steps before the last have rewards +-1; otherwise they have none."""
    bits: Count = 0
    """Number of random bits beside the observation, the distractors; Oh et al.: 20."""
    name: str = "DelayedChain"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.shortest > self.longest:
            raise UsageError(
                f"DelayedChain.shortest: {self.shortest} is more than longest = {self.longest}; lower it"
            )

    @property
    def observation_space(self) -> Space:
        """Steps done, and the distractors where there are any."""
        step = Discrete(self.longest + 1)
        return {"step": step, "bits": Box(0.0, 1.0, (self.bits,))} if self.bits else step

    @property
    def action_space(self) -> Discrete:
        """Two branches that look the same."""
        return Discrete(2)

    @property
    def u_shape(self) -> tuple[int, ...]:
        """One uniform for the reward, one for every distractor."""
        return (1 + self.bits,)

    def default_params(self) -> ChainParams:
        """The longest chain, on which action 1 is correct."""
        return ChainParams(integer(self.longest), integer(1), real(1.0), real(float(self.noisy)))

    def sample_params(self, key: Key) -> ChainParams:
        """A uniform length and a uniform correct action."""
        k_length, k_correct = jax.random.split(key)
        length = jax.random.randint(k_length, (), self.shortest, self.longest + 1, jnp.int32)
        correct = jax.random.randint(k_correct, (), 0, 2, jnp.int32)
        return self.default_params()._replace(length=length, correct=correct)

    def time_limit(self, params: ChainParams) -> Array:
        """int32[], one step more than the longest chain has."""
        return integer(self.longest + 1)

    def reset(self, key: Key, params: ChainParams) -> tuple[ChainState, PyTree]:
        """The start of the chain."""
        state = ChainState(integer(0), integer(-1))
        return state, self._obs(state, jax.random.uniform(key, (self.bits,), params.reward.dtype))

    def step(
        self, key: Key, state: ChainState, action: Array, params: ChainParams
    ) -> tuple[ChainState, Step]:
        """`step_u` with uniform numbers."""
        return self.step_u(state, action, jax.random.uniform(key, self.u_shape, params.reward.dtype), params)

    def step_u(
        self, state: ChainState, action: Array, u: Array, params: ChainParams
    ) -> tuple[ChainState, Step]:
        """One step; `u`, float[1 + bits], decides the sign of the noise (+ below 1/2) and the distractors."""
        first = jnp.where(state.t == 0, action, state.first)
        after = ChainState(jnp.minimum(state.t + 1, self.longest), first)
        ends = after.t >= params.length
        end = jnp.where(first == params.correct, params.reward, -params.reward)
        reward = jnp.where(ends, end, jnp.where(u[0] < 0.5, params.noise, -params.noise))
        return after, Step(self._obs(after, u[1:]), reward, ends, {})

    def render(self, state: ChainState, params: ChainParams) -> Array:
        """uint8[32, 16 (longest + 1), 3]: a row of steps for each first action, and the agent on its own."""
        row, col = jnp.arange(2)[:, None], jnp.arange(self.longest + 1)[None]
        free, right, wrong, agent = (
            jnp.asarray(c, jnp.uint8)[None, None] for c in (_FREE, _RIGHT, _WRONG, _AGENT)
        )
        ends = jnp.where((row == params.correct)[..., None], right, wrong)
        picture = jnp.where((col == params.length)[..., None], ends, free)
        picture = jnp.where((col > params.length)[..., None], jnp.zeros_like(free), picture)
        here = (col == state.t) & ((row == state.first) | (state.first < 0))
        picture = jnp.where(here[..., None], agent, picture)
        return picture.repeat(16, 0).repeat(16, 1)

    def _obs(self, state: ChainState, u: Array) -> PyTree:
        return {"step": state.t, "bits": (u < 0.5).astype(u.dtype)} if self.bits else state.t


ENVIRONMENTS = {
    "DelayedChain": Entry(DelayedChain),
    "DelayedChain-long": Entry(partial(DelayedChain, 50)),
    "DelayedChain-noisy": Entry(partial(DelayedChain, noisy=True)),
    "DelayedChain-distractor": Entry(partial(DelayedChain, bits=20)),
    "DelayedChain-noisy-distractor": Entry(partial(DelayedChain, noisy=True, bits=20)),
}
