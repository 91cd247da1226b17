"""Observations that hold the elapsed share of the time limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Finite
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.base import (
    HasTimeLimit,
    float_dtype,
    integer,
    real,
)
from jaxrl.envs.wrappers.wrapper import Wrapper, append_to_box, is_flat_box


class TimeState(NamedTuple):
    """State of `ObserveTime`.

    elapsed: int32[], steps taken.
    """

    env: PyTree
    elapsed: Array


class TimeParams(NamedTuple):
    """Parameters of `ObserveTime`.

    scale: float[], what one step adds to the shown time.
    """

    env: PyTree
    scale: Array


@dataclass(frozen=True)
class ObserveTime(Wrapper):
    """Shows elapsed / limit, or scale * elapsed when a scale is given.

    Appended to an observation float[n]; any other becomes `{"obs": o, "time": float[]}`. Without a scale the
    environment needs a time limit.
    """

    scale: Finite | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale is None and not isinstance(self.env, HasTimeLimit):
            raise UsageError(f"ObserveTime.scale: {self.env.name} has no time limit; give a scale")

    @property
    def observation_space(self) -> Space:
        """The inner observation, and the elapsed time."""
        space = self.env.observation_space
        if is_flat_box(space):
            return append_to_box(space, [-np.inf], [np.inf])
        return {"obs": space, "time": Box(-np.inf, np.inf, ())}

    def extend(self, inner: PyTree) -> PyTree:
        """The inner parameters with the scale, where there is one."""
        return inner if self.scale is None else TimeParams(inner, real(self.scale))

    def inner_params(self, params: PyTree) -> PyTree:
        """Without the scale."""
        return params if self.scale is None else params.env

    def inner_state(self, state: TimeState) -> PyTree:
        """Without the time."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[TimeState, PyTree]:
        """Time 0."""
        state = TimeState(inner, integer(0))
        return state, self._show(obs, state.elapsed, params)

    def advance(self, state: TimeState, inner: PyTree, out: Step, params: PyTree) -> tuple[TimeState, Step]:
        """Time + 1."""
        after = TimeState(inner, state.elapsed + 1)
        return after, out._replace(obs=self._show(out.obs, after.elapsed, params))

    def state_at(self, params: PyTree, index: Array, h: Array | int = 0) -> TimeState:
        """The inner state at time `h`."""
        return TimeState(self.env.state_at(self.inner_params(params), index, h), integer(h))

    def _show(self, obs: PyTree, elapsed: Array, params: PyTree) -> PyTree:
        dtype = float_dtype(params)
        if self.scale is None:
            time = elapsed.astype(dtype) / self.env.time_limit(params).astype(dtype)
        else:
            time = elapsed.astype(dtype) * params.scale
        if is_flat_box(self.env.observation_space):
            return jnp.append(obs, time.astype(obs.dtype))
        return {"obs": obs, "time": time}


observe_time = ObserveTime
