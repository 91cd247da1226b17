"""What an environment is: one protocol, and optional capabilities each its own protocol.

Rules: `step` never resets and never counts time; every number is a leaf of `Params`, every size a field of the
environment object; no leaf is derived from others; float outputs have the dtype of the float parameters; one
environment, no batch axis.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, PyTree, Step


class Env(Protocol):
    """A frozen dataclass: hashable, compared by value, holds no arrays.

    reward_dim: None for rewards of shape (), m for rewards of shape [m].
    """

    @property
    def name(self) -> str: ...
    @property
    def observation_space(self) -> Space: ...
    @property
    def action_space(self) -> Space: ...
    @property
    def reward_dim(self) -> int | None: ...

    def default_params(self) -> PyTree:
        """A pytree of strongly typed arrays."""
        ...

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """`(state, obs)` from the initial law."""
        ...

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """`(state, Step)`; the state keeps structure, shapes, dtypes and weak types."""
        ...


@runtime_checkable
class SamplesParams(Protocol):
    """Procedural distributions, domain randomisation, meta-learning."""

    def sample_params(self, key: Key) -> PyTree: ...


@runtime_checkable
class HasTimeLimit(Protocol):
    """A limit for convenience, a truncation: int32[], dynamic, so that a horizon can be vmapped."""

    def time_limit(self, params: PyTree) -> Array: ...


@runtime_checkable
class Finite(Protocol):
    """Can be enumerated: returns a `TabularMDP`."""

    def to_tabular(self, params: PyTree) -> Any: ...


@runtime_checkable
class RewardFn(Protocol):
    """Reward as a function of the transition: float[] or float[m]."""

    def reward(self, params: PyTree, state: PyTree, action: PyTree, next_state: PyTree) -> Array: ...


@runtime_checkable
class Renders(Protocol):
    """uint8[H, W, 3]."""

    def render(self, state: PyTree, params: PyTree) -> Array: ...


@runtime_checkable
class HasItem(Protocol):
    """The item that a state adds to a set: position, cell or features."""

    def item(self, params: PyTree, state: PyTree) -> PyTree: ...


@runtime_checkable
class Scripted(Protocol):
    """`step` with its randomness as explicit uniforms `u`: traces without a generator."""

    def step_u(self, state: PyTree, action: PyTree, u: Array, params: PyTree) -> tuple[PyTree, Step]: ...
