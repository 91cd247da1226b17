"""Another reward function for the same dynamics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import (
    RewardFn,
    integer,
)
from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.envs.wrappers.wrapper import Wrapper


class RewardParams(NamedTuple):
    """Parameters of `WithReward`.

    reward: whatever the reward function reads.
    """

    env: PyTree
    reward: PyTree


@dataclass(frozen=True)
class WithReward(Wrapper):
    """Replaces the reward by `fn(params, state, action, next_state)`, float[] or float[dim].

    init: None, then `fn` reads the inner parameters; or a function `() -> pytree` of default reward
    parameters, then `Params` is `RewardParams(env, reward)`, so that rewards can be vmapped, and
    `fn` reads that.
    """

    fn: Callable[[PyTree, PyTree, PyTree, PyTree], Array]
    dim: Size | None = None
    init: Callable[[], PyTree] | None = None
    provides: ClassVar[tuple[type, ...]] = (RewardFn,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.fn):
            raise UsageError("WithReward.fn: must be a function (params, state, action, next_state)")

    @property
    def reward_dim(self) -> int | None:
        """`dim`."""
        return self.dim

    def extend(self, inner: PyTree) -> PyTree:
        """The inner parameters with those of the reward, where there are some."""
        return inner if self.init is None else RewardParams(inner, self.init())

    def inner_params(self, params: PyTree) -> PyTree:
        """Without the reward parameters."""
        return params if self.init is None else params.env

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """The inner step with the reward replaced."""
        after, out = super().step(key, state, action, params)
        return after, out._replace(reward=self.fn(params, state, action, after))

    def step_u(self, state: PyTree, action: PyTree, u: Array, params: PyTree) -> tuple[PyTree, Step]:
        """The inner scripted step with the reward replaced."""
        after, out = super().step_u(state, action, u, params)
        return after, out._replace(reward=self.fn(params, state, action, after))

    def reward(self, params: PyTree, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """`fn`."""
        return self.fn(params, state, action, next_state)

    def to_tabular(self, params: PyTree) -> TabularMDP:
        """The inner tables with `R [S, A, S]` from `fn`; 0 in terminal states."""
        mdp = super().to_tabular(params)
        s, a = jnp.arange(mdp.n_states), jnp.arange(mdp.n_actions)

        def table(h: Array) -> Array:
            rows = jax.vmap(self.state_at, (None, 0, None))
            over_next = jax.vmap(self.fn, (None, None, None, 0))
            over_action = jax.vmap(over_next, (None, None, 0, None))
            return jax.vmap(over_action, (None, 0, None, None))(
                params, rows(params, s, h), a, rows(params, s, h + 1)
            )

        horizon = mdp.horizon
        R = table(integer(0)) if horizon is None else jax.vmap(table)(jnp.arange(horizon))
        dead = mdp.terminal.reshape(-1, *(1,) * (2 + (self.dim is not None)))
        return mdp.replace(R=jnp.where(dead, 0, R), reward_dim=self.dim)


with_reward = WithReward
