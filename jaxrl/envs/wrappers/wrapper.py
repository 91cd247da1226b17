"""The base of every wrapper: an environment around an environment.

A wrapper is a frozen dataclass whose first field is the environment inside. Where a wrapper adds numbers, its
`Params` is a record `(env, ...)` around the inner parameters; where it adds state, its state is a record
`(env, ...)` around the inner state. Optional capabilities of the inner environment stay visible unless the
wrapper changes what they mean.

Order, inside out: dynamics, `finite_horizon`, `history`, reward wrappers (`set_reward` outermost),
observation wrappers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_fields
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import (
    CAPABILITIES,
    Env,
)
from jaxrl.envs.tabular.mdp import TabularMDP


@dataclass(frozen=True)
class Wrapper:
    """Behaves exactly as `env`; subclasses override the hooks below.

    hidden: capabilities that the wrapper invalidates. provides: capabilities it has whatever `env` has.
    """

    env: Env
    hidden: ClassVar[tuple[type, ...]] = ()
    provides: ClassVar[tuple[type, ...]] = ()

    def __post_init__(self) -> None:
        if not all(hasattr(self.env, method) for method in ("reset", "step", "default_params")):
            raise UsageError(f"{type(self).__name__}.env: must be an environment, got {self.env!r:.80}")
        check_fields(self)
        missing: tuple[str, ...] = ()
        for capability, methods in CAPABILITIES.items():
            inside = isinstance(self.env, capability) and capability not in self.hidden
            if not inside and capability not in self.provides:
                missing += methods
        # isinstance looks at the class, so objects that lack a capability have a class that lacks it
        object.__setattr__(
            self, "__class__", without_methods(getattr(type(self), "whole", type(self)), missing)
        )

    # --- hooks ---

    def extend(self, inner: PyTree) -> PyTree:
        """Params of the wrapper around those of the inner environment."""
        return inner

    def inner_params(self, params: PyTree) -> PyTree:
        """Inverse of `extend`."""
        return params

    def inner_state(self, state: PyTree) -> PyTree:
        """State of the inner environment."""
        return state

    def map_action(self, action: PyTree) -> PyTree:
        """Action of the inner environment."""
        return action

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """`(state, obs)` after the inner reset."""
        return inner, obs

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """`(state, Step)` from the state before, the inner state after, and what the inner step emitted."""
        return inner, out

    # --- Env ---

    @property
    def name(self) -> str:
        """Names of the wrapper and of what it wraps."""
        return f"{type(self).__name__}({self.env.name})"

    @property
    def observation_space(self) -> Space:
        """The inner one."""
        return self.env.observation_space

    @property
    def action_space(self) -> Space:
        """The inner one."""
        return self.env.action_space

    @property
    def reward_dim(self) -> int | None:
        """The inner one."""
        return self.env.reward_dim

    def default_params(self) -> PyTree:
        """Around the inner defaults."""
        return self.extend(self.env.default_params())

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The inner reset, then `begin`."""
        inner, obs = self.env.reset(key, self.inner_params(params))
        return self.begin(inner, obs, params)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """The inner step, then `advance`."""
        inner = self.env.step(
            key, self.inner_state(state), self.map_action(action), self.inner_params(params)
        )
        return self.advance(state, *inner, params)

    # --- capabilities, None where they do not hold ---

    def sample_params(self, key: Key) -> PyTree:
        """Around an inner sample."""
        return self.extend(self.env.sample_params(key))

    def time_limit(self, params: PyTree) -> Array:
        """The inner limit."""
        return self.env.time_limit(self.inner_params(params))

    def to_tabular(self, params: PyTree) -> TabularMDP:
        """The inner tables."""
        return self.env.to_tabular(self.inner_params(params))

    def state_index(self, params: PyTree, state: PyTree) -> Array:
        """The inner row."""
        return self.env.state_index(self.inner_params(params), self.inner_state(state))

    def state_at(self, params: PyTree, index: Array, h: Array | int = 0) -> PyTree:
        """The inner state."""
        return self.env.state_at(self.inner_params(params), index, h)

    def reward(self, params: PyTree, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """The inner reward."""
        inner = self.inner_state(state), self.map_action(action), self.inner_state(next_state)
        return self.env.reward(self.inner_params(params), *inner)

    def render(self, state: PyTree, params: PyTree) -> Array:
        """The inner picture."""
        return self.env.render(self.inner_state(state), self.inner_params(params))

    def item(self, params: PyTree, state: PyTree) -> PyTree:
        """The inner item."""
        return self.env.item(self.inner_params(params), self.inner_state(state))

    def step_u(self, state: PyTree, action: PyTree, u: Array, params: PyTree) -> tuple[PyTree, Step]:
        """The inner scripted step, then `advance`."""
        inner = self.env.step_u(
            self.inner_state(state), self.map_action(action), u, self.inner_params(params)
        )
        return self.advance(state, *inner, params)


@functools.cache
def without_methods(whole: type, methods: tuple[str, ...]) -> type:
    """`whole` with `methods` set to None: isinstance then denies them, as `__hash__ = None` does for hash."""
    return type(whole.__name__, (whole,), {**dict.fromkeys(methods), "whole": whole})


def is_flat_box(space: Space) -> bool:
    """Whether a space is a box of floats `[n]`."""
    return isinstance(space, Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)


def check_flat_box(name: str, space: Space) -> None:
    """Raises `UsageError` unless a space is a box of floats `[n]`."""
    if not is_flat_box(space):
        raise UsageError(f"{name}: needs observations float[n], got {space}; apply flatten_obs first")


def box_bounds(space: Box) -> Any:
    """`(low, high)`, numpy arrays of the full shape."""
    return np.broadcast_to(space.low, space.shape), np.broadcast_to(space.high, space.shape)


def append_to_box(space: Box, low: list[float], high: list[float]) -> Box:
    """A box `[n]` with further coordinates."""
    lows, highs = box_bounds(space)
    n = space.shape[0] + len(low)
    return Box([*lows.tolist(), *low], [*highs.tolist(), *high], (n,), space.dtype)
