"""Episodes of a fixed number of steps that end by termination, with the step index observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.fields import Size
from jaxrl.core.spaces import Discrete, Space
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.base import (
    Env,
    integer,
)
from jaxrl.envs.tabular.mdp import TabularMDP, time_indexed
from jaxrl.envs.wrappers.wrapper import Wrapper, append_to_box, check_flat_box


class HorizonParams(NamedTuple):
    """Parameters of `FiniteHorizon`.

    horizon: int32[], at most the H of the wrapper.
    """

    env: PyTree
    horizon: Array


class HorizonState(NamedTuple):
    """State of `FiniteHorizon`.

    h: int32[], steps taken.
    """

    env: PyTree
    h: Array


@dataclass(frozen=True)
class FiniteHorizon(Wrapper):
    """An H-step problem: also terminates when the step index h reaches H, and shows h (rule `termination`).

    obs becomes `{"obs": o, "h": int32[]}`; with `one_hot`, float[n] becomes float[n + H + 1] by an appended
    one-hot of h. `H` is the largest horizon; `Params.horizon` (default H) may be smaller, and vmapped.
    """

    H: Size
    one_hot: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.one_hot:
            check_flat_box("FiniteHorizon.one_hot", self.env.observation_space)

    @property
    def observation_space(self) -> Space:
        """The inner observation, and the index of the step."""
        space = self.env.observation_space
        if self.one_hot:
            return append_to_box(space, [0.0] * (self.H + 1), [1.0] * (self.H + 1))
        return {"obs": space, "h": Discrete(self.H + 1)}

    def extend(self, inner: PyTree) -> HorizonParams:
        """The inner parameters with the horizon."""
        return HorizonParams(inner, integer(self.H))

    def inner_params(self, params: HorizonParams) -> PyTree:
        """Without the horizon."""
        return params.env

    def inner_state(self, state: HorizonState) -> PyTree:
        """Without the step index."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: HorizonParams) -> tuple[HorizonState, PyTree]:
        """The state at step 0."""
        state = HorizonState(inner, integer(0))
        return state, self._show(obs, state.h)

    def advance(
        self, state: HorizonState, inner: PyTree, out: Step, params: HorizonParams
    ) -> tuple[HorizonState, Step]:
        """One step on."""
        after = HorizonState(inner, state.h + 1)
        end = out.terminated | (after.h >= params.horizon)
        return after, out._replace(obs=self._show(out.obs, after.h), terminated=end)

    def to_tabular(self, params: HorizonParams) -> TabularMDP:
        """Tables `[H, ...]`, without reward from step `Params.horizon` on."""
        mdp = time_indexed(self.env.to_tabular(params.env), self.H)
        alive = (jnp.arange(self.H) < params.horizon).reshape(-1, *(1,) * (mdp.R.ndim - 1))
        return mdp.replace(R=jnp.where(alive, mdp.R, 0))

    def state_at(self, params: HorizonParams, index: Array, h: Array | int = 0) -> HorizonState:
        """The inner state with the step index `h`."""
        return HorizonState(self.env.state_at(params.env, index), integer(h))

    def _show(self, obs: PyTree, h: Array) -> PyTree:
        if self.one_hot:
            return jnp.concatenate([obs, jax.nn.one_hot(h, self.H + 1, dtype=obs.dtype)])
        return {"obs": obs, "h": h}


def actions_per_episode(env: Env) -> int | None:
    """H of the `finite_horizon` around or inside of `env`, None where there is none."""
    while isinstance(env, Wrapper):
        if isinstance(env, FiniteHorizon):
            return env.H
        env = env.env
    return None


finite_horizon = FiniteHorizon
