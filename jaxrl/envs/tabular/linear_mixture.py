"""The environment of a linear mixture MDP, P_h(s' | s, a) = <phi(s' | s, a), theta_h>.

Legend: `S` states, `A` actions, `d` features, `H` steps. The environment pays no reward;
`with_reward` adds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.spaces import Discrete, Space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.tabular.mdp import TabularMDP, inverse_cdf
from jaxrl.envs.tabular.mixture import LinearMixtureMDP
from jaxrl.envs.tabular.mixture_generators import hard_instance, hashed_mixture, random_mixture


class MixtureState(NamedTuple):
    """State of `LinearMixture`.

    s: int32[] state; h: int32[] step, always 0 for stationary parameters.
    """

    s: Array
    h: Array


@dataclass(frozen=True)
class LinearMixture:
    """The simulator of a `LinearMixtureMDP`, which is its `Params`.

    Observation: int32[] state; with `H` the dict `{"obs": ..., "h": int32[]}`. Action: Discrete(A).
    Reward: 0. Termination: with `H` after `H` steps, otherwise never.
    """

    S: Size
    """Number of states, that of the parameters."""
    A: Size
    """Number of actions, that of the parameters."""
    d: Size
    """Number of features, that of the parameters."""
    H: Size | None = None
    """Horizon of parameters `[H, d]`, None for stationary ones."""
    instance: Literal["hashed", "hard"] = "hashed"
    """What `default_params` returns: `hashed_mixture`, or `hard_instance`."""
    name: str = "LinearMixture"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.instance == "hard" and (3, 2 ** (self.d - 1)) != (self.S, self.A):
            raise UsageError(
                f"LinearMixture.S: the hard instance has S = 3 and A = 2^(d - 1) = {2 ** (self.d - 1)},"
                f" got S = {self.S} and A = {self.A}; use these, or instance='hashed'"
            )

    @classmethod
    def of(cls, mixture: LinearMixtureMDP) -> LinearMixture:
        """The environment whose sizes are those of `mixture`."""
        return cls(mixture.n_states, mixture.n_actions, mixture.dim, mixture.horizon)

    @property
    def observation_space(self) -> Space:
        """States, with the step index where there is a horizon."""
        space = Discrete(self.S)
        return space if self.H is None else {"obs": space, "h": Discrete(self.H + 1)}

    @property
    def action_space(self) -> Discrete:
        """Discrete(A)."""
        return Discrete(self.A)

    def default_params(self) -> LinearMixtureMDP:
        """The mixture that `instance` names; pass your own instead."""
        if self.instance == "hard":
            mixture = hard_instance(self.d)
        else:
            mixture = hashed_mixture(self.S, self.A, self.d, (7, 3, 5, 11), 13)
        return mixture if self.H is None else mixture.replace(theta=jnp.tile(mixture.theta, (self.H, 1)))

    def sample_params(self, key: Key) -> LinearMixtureMDP:
        """`random_mixture` of this environment's sizes."""
        return random_mixture(key, self.S, self.A, self.d, H=self.H)

    def to_tabular(self, params: LinearMixtureMDP) -> TabularMDP:
        """Without reward."""
        return params.to_tabular()

    def state_index(self, params: LinearMixtureMDP, state: MixtureState) -> Array:
        """int32[], the state."""
        return state.s

    def state_at(self, params: LinearMixtureMDP, index: Array, h: Array | int = 0) -> MixtureState:
        """The state of row `index` at step `h`."""
        return MixtureState(integer(index), integer(h))

    def item(self, params: LinearMixtureMDP, state: MixtureState) -> Array:
        """int32[], the state, as element of a set."""
        return state.s

    def reward(
        self, params: LinearMixtureMDP, state: MixtureState, action: Array, next_state: MixtureState
    ) -> Array:
        """0."""
        return jnp.zeros((), params.phi.dtype)

    def reset(self, key: Key, params: LinearMixtureMDP) -> tuple[MixtureState, PyTree]:
        """From `mu0`."""
        u = jax.random.uniform(key, (), params.phi.dtype)
        state = MixtureState(inverse_cdf(params.mu0, u), integer(0))
        return state, self._obs(state)

    def step(
        self, key: Key, state: MixtureState, action: Array, params: LinearMixtureMDP
    ) -> tuple[MixtureState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.phi.dtype), params)

    def step_u(
        self, state: MixtureState, action: Array, u: Array, params: LinearMixtureMDP
    ) -> tuple[MixtureState, Step]:
        """The successor is the inverse distribution function at `u`, float[] in [0, 1)."""
        theta = params.theta if self.H is None else params.theta[state.h]
        p = jnp.matmul(params.phi[state.s, action], theta, precision="highest")
        after = MixtureState(inverse_cdf(p, u), state.h if self.H is None else state.h + 1)
        end = jnp.asarray(False) if self.H is None else after.h >= self.H
        return after, Step(self._obs(after), self.reward(params, state, action, after), end, {})

    def _obs(self, state: MixtureState) -> PyTree:
        return state.s if self.H is None else {"obs": state.s, "h": state.h}


ENVIRONMENTS = {
    "LinearMixture": Entry(partial(LinearMixture, 4, 2, 3)),
    "LinearMixture-horizon": Entry(partial(LinearMixture, 4, 2, 3, H=10)),
    "LinearMixture-hard": Entry(partial(LinearMixture, 3, 8, 4, instance="hard", name="HardInstance")),
}
