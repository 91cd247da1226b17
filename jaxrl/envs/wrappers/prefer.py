"""A preference over the components of a vector reward, drawn for every episode and shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import Finite, float_dtype
from jaxrl.envs.wrappers.wrapper import Wrapper


class PreferState(NamedTuple):
    """State of `Prefer`.

    preference: float[m], the weights of this episode.
    """

    env: PyTree
    preference: Array


@dataclass(frozen=True)
class Prefer(Wrapper):
    """Draws weights w uniformly from the simplex at every reset, shows them and pays w_j r_j in place of r_j.

    The observation is `{"obs": o, "preference": float[m]}`. The components stay apart: their sum is the
    scalarised reward w . r, and a critic of vectors estimates w_j G_j.

    Raises `UsageError` for scalar rewards.
    """

    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.env.reward_dim is None:
            raise UsageError(f"Prefer.env: {self.env.name} has a scalar reward; there is nothing to weigh")

    @property
    def observation_space(self) -> Space:
        """The inner observation, and the preference."""
        return {"obs": self.env.observation_space, "preference": Box(0.0, 1.0, (self.env.reward_dim or 0,))}

    def inner_state(self, state: PreferState) -> PyTree:
        """Without the preference."""
        return state.env

    def reset(self, key: Key, params: PyTree) -> tuple[PreferState, PyTree]:
        """The inner reset, with another preference."""
        k_env, k_preference = jax.random.split(key)
        inner, obs = self.env.reset(k_env, params)
        # exponential variables by their sum: uniform on the simplex
        x = jax.random.exponential(k_preference, (self.env.reward_dim or 0,), float_dtype(params))
        state = PreferState(inner, x / x.sum())
        return state, _shown(obs, state)

    def advance(
        self, state: PreferState, inner: PyTree, out: Step, params: PyTree
    ) -> tuple[PreferState, Step]:
        """The weighted reward, with the preference kept."""
        after = PreferState(inner, state.preference)
        return after, out._replace(obs=_shown(out.obs, after), reward=state.preference * out.reward)

    def reward(self, params: PyTree, state: PreferState, action: PyTree, next_state: PreferState) -> Array:
        """The weighted inner reward, float[m]."""
        return state.preference * super().reward(params, state, action, next_state)


def _shown(obs: PyTree, state: PreferState) -> PyTree:
    return {"obs": obs, "preference": state.preference}


prefer = Prefer
