"""The environment of a finite MDP, whose parameters are its tables.

Legend: `S` states, `A` actions, `H` steps of a finite horizon, `m` reward components. Tables are time-indexed
(`[H, ...]`, both `P` and `R`) or stationary (neither).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.mdp import TabularMDP, inverse_cdf, make_mdp


class TabularState(NamedTuple):
    """State of `Tabular`.

    s: int32[] state; h: int32[] index into time-indexed tables, always 0 for stationary ones.
    """

    s: Array
    h: Array


@dataclass(frozen=True)
class Tabular:
    """The simulator of a `TabularMDP`; `Params` is the MDP itself, so vmapping over MDPs is a vmap of tasks.

    Observation: int32[] state, or with `one_hot` float[S]; with `H` the dict `{"obs": ..., "h": int32[]}`.
    Action: Discrete(A). Reward: `R[s, a]` or `R[s, a, s']`.
    Termination: a terminal state is entered; with `H` also after `H` steps.
    """

    S: Size
    """Number of states, that of the parameters."""
    A: Size
    """Number of actions, that of the parameters."""
    H: Size | None = None
    """Horizon of time-indexed tables, None for stationary ones."""
    one_hot: bool = False
    """Whether states are observed as one-hot vectors in place of indices."""
    reward_dim: Size | None = None
    """Number of reward components, None for scalar rewards."""
    name: str = "Tabular"

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def of(cls, mdp: TabularMDP, one_hot: bool = False) -> Tabular:
        """The environment whose sizes are those of `mdp`."""
        return cls(mdp.n_states, mdp.n_actions, mdp.horizon, one_hot, mdp.reward_dim)

    @property
    def observation_space(self) -> Space:
        """States, with the step index where there is a horizon."""
        space = Box(0.0, 1.0, (self.S,)) if self.one_hot else Discrete(self.S)
        return space if self.H is None else {"obs": space, "h": Discrete(self.H + 1)}

    @property
    def action_space(self) -> Discrete:
        """Discrete(A)."""
        return Discrete(self.A)

    def default_params(self) -> TabularMDP:
        """One fixed irregular MDP with full support; pass your own instead."""
        time, tail = (1 if self.H is None else self.H), (self.reward_dim or 1)
        h, s, a, t, i = np.ix_(*map(np.arange, (time, self.S, self.A, self.S, tail)))
        weight = 1 + (7 * h + 5 * s + 3 * a + 11 * t) ** 2 % 13
        P = (weight / weight.sum(3, keepdims=True))[..., 0]
        R = ((h + 3 * s + 5 * a + 2 * i) % 7 / 7)[:, :, :, 0]
        P, R = (P[0], R[0]) if self.H is None else (P, R)
        mu0 = np.full(self.S, 1 / self.S)
        return make_mdp(P, R[..., 0] if self.reward_dim is None else R, mu0, 0.9, (), self.reward_dim)

    def sample_params(self, key: Key) -> TabularMDP:
        """`random_mdp` of this environment's sizes."""
        return random_mdp(key, self.S, self.A, H=self.H, reward_dim=self.reward_dim)

    def to_tabular(self, params: TabularMDP) -> TabularMDP:
        """The parameters themselves."""
        return params

    def state_index(self, params: TabularMDP, state: TabularState) -> Array:
        """int32[], the row of `state` in the tables."""
        return state.s

    def state_at(self, params: TabularMDP, index: Array, h: Array | int = 0) -> TabularState:
        """The state of row `index` at step `h`."""
        return TabularState(integer(index), integer(h))

    def item(self, params: TabularMDP, state: TabularState) -> Array:
        """int32[], the state, as element of a set."""
        return state.s

    def reset(self, key: Key, params: TabularMDP) -> tuple[TabularState, PyTree]:
        """From `mu0`."""
        u = jax.random.uniform(key, (), params.P.dtype)
        state = TabularState(inverse_cdf(params.mu0, u), jnp.zeros((), jnp.int32))
        return state, self._obs(state, params)

    def step(
        self, key: Key, state: TabularState, action: Array, params: TabularMDP
    ) -> tuple[TabularState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.P.dtype), params)

    def step_u(
        self, state: TabularState, action: Array, u: Array, params: TabularMDP
    ) -> tuple[TabularState, Step]:
        """The successor is the inverse distribution function of `P[s, a]` at `u`, float[] in [0, 1)."""
        row = params.P[self._at(state, action)]
        after = TabularState(inverse_cdf(row, u), state.h if self.H is None else state.h + 1)
        terminated = params.terminal[after.s]
        if self.H is not None:
            terminated |= after.h >= self.H
        reward = self.reward(params, state, action, after)
        return after, Step(self._obs(after, params), reward, terminated, {})

    def reward(
        self, params: TabularMDP, state: TabularState, action: Array, next_state: TabularState
    ) -> Array:
        """float[] or float[m]."""
        entry = params.R[self._at(state, action)]
        return entry[next_state.s] if params.reward_on_successor else entry

    def _at(self, state: TabularState, action: Array) -> tuple[Array, ...]:
        return (state.s, action) if self.H is None else (state.h, state.s, action)

    def _obs(self, state: TabularState, params: TabularMDP) -> PyTree:
        obs = jax.nn.one_hot(state.s, self.S, dtype=params.P.dtype) if self.one_hot else state.s
        return obs if self.H is None else {"obs": obs, "h": state.h}


ENVIRONMENTS = {
    "Tabular": Entry(partial(Tabular, 5, 3), inert=("gamma",)),
    "Tabular-vector": Entry(partial(Tabular, 5, 3, one_hot=True, reward_dim=2), inert=("gamma",)),
    "Tabular-horizon": Entry(partial(Tabular, 5, 3, H=10), inert=("gamma",)),
}
