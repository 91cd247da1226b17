"""New environment parameters drawn at every reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import (
    Finite,
    HasTimeLimit,
    SamplesParams,
)
from jaxrl.envs.wrappers.wrapper import Wrapper


class ResampleParams(NamedTuple):
    """Parameters of `ResampleTask`.

    limit: int32[], one time limit for all tasks.
    """

    limit: Array


class TaskState(NamedTuple):
    """State of `ResampleTask`.

    task: the inner parameters of this episode.
    """

    env: PyTree
    task: PyTree


@dataclass(frozen=True)
class ResampleTask(Wrapper):
    """A new task at every reset: `reset` draws the inner parameters, the state carries them.

    `Params` is only the time limit (that of the inner defaults), and `()` for an environment without one;
    tasks' own limits do not apply.
    """

    hidden: ClassVar[tuple[type, ...]] = (SamplesParams, Finite)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.env, SamplesParams):
            raise UsageError(f"ResampleTask.env: {self.env.name} has no sample_params")

    def default_params(self) -> PyTree:
        """The inner time limit."""
        if not isinstance(self.env, HasTimeLimit):
            return ()
        return ResampleParams(self.env.time_limit(self.env.default_params()))

    def time_limit(self, params: ResampleParams) -> Array:
        """`Params.limit`."""
        return params.limit

    def reset(self, key: Key, params: PyTree) -> tuple[TaskState, PyTree]:
        """A task, then its reset."""
        k_task, k_reset = jax.random.split(key)
        task = self.env.sample_params(k_task)
        inner, obs = self.env.reset(k_reset, task)
        return TaskState(inner, task), obs

    def step(self, key: Key, state: TaskState, action: PyTree, params: PyTree) -> tuple[TaskState, Step]:
        """The inner step of the task."""
        inner, out = self.env.step(key, state.env, action, state.task)
        return TaskState(inner, state.task), out

    def step_u(self, state: TaskState, action: PyTree, u: Array, params: PyTree) -> tuple[TaskState, Step]:
        """The inner scripted step of the task."""
        inner, out = self.env.step_u(state.env, action, u, state.task)
        return TaskState(inner, state.task), out

    def reward(self, params: PyTree, state: TaskState, action: PyTree, next_state: TaskState) -> Array:
        """The inner reward of the task."""
        return self.env.reward(state.task, state.env, action, next_state.env)

    def render(self, state: TaskState, params: PyTree) -> Array:
        """The inner picture of the task."""
        return self.env.render(state.env, state.task)

    def item(self, params: PyTree, state: TaskState) -> PyTree:
        """The inner item of the task."""
        return self.env.item(state.task, state.env)


resample_params = ResampleTask
