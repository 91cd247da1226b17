"""What an environment is: one protocol, and optional capabilities each its own protocol.

Rules, checked by `jaxrl.envs.check.check_env`:

no_reset: `step` never resets and never counts time; both happen in the rollout.
static_fields: Sizes and Python control flow are fields of the environment, every number is a leaf of
    `Params`.
no_derived_params: No leaf of `Params` is derived from others.
stable_state: `step` returns a state identical to its input in structure, shapes, dtypes and weak types.
single_env: One environment, no batch axis.
typed_keys: Keys are typed, one fresh key per call, never stored in the state.
dtypes: Float outputs have the dtype of the float leaves of `Params`; integers are int32, pixels uint8.
drawn_observations: Stochastic observations are drawn inside `reset` and `step`.
termination: `terminated` is part of the MDP; a limit for convenience is a truncation.
info: `info` has fixed keys and never carries bookkeeping.
capabilities: What an optional method returns has the shape and dtype that its protocol states.
gradients: Gradients are not stopped.
purity: No host randomness, no side effects, no mutation of `self`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, PyTree, Step


class Env(Protocol):
    """A frozen dataclass: hashable, compared by value, holds no arrays."""

    @property
    def name(self) -> str:
        """A name for people, which is no identifier."""
        ...

    @property
    def observation_space(self) -> Space:
        """Static shapes and dtypes, nested as the observations are."""
        ...

    @property
    def action_space(self) -> Space:
        """Static shapes and dtypes."""
        ...

    @property
    def reward_dim(self) -> int | None:
        """None for rewards of shape (), m for rewards of shape [m]."""
        ...

    def default_params(self) -> PyTree:
        """A pytree of strongly typed arrays, floats in the default float dtype."""
        ...

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """`(state, obs)` from the initial distribution."""
        ...

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """`(state, Step)`; the state keeps structure, shapes, dtypes and weak types."""
        ...


@runtime_checkable
class SamplesParams(Protocol):
    """Procedural distributions, domain randomisation, meta-learning."""

    def sample_params(self, key: Key) -> PyTree:
        """One task."""
        ...


@runtime_checkable
class HasTimeLimit(Protocol):
    """A limit for convenience, a truncation; an array, so that a horizon can be vmapped."""

    def time_limit(self, params: PyTree) -> Array:
        """int32[] steps per episode."""
        ...


@runtime_checkable
class Finite(Protocol):
    """Can be enumerated: the rows of a `TabularMDP` are states of the environment."""

    def to_tabular(self, params: PyTree) -> Any:
        """The `TabularMDP` of these parameters."""
        ...

    def state_index(self, params: PyTree, state: PyTree) -> Array:
        """int32[], the row of a state that is not terminated."""
        ...

    def state_at(self, params: PyTree, index: Array, h: Array | int = 0) -> PyTree:
        """The state of row `index`, at step `h` of time-indexed tables."""
        ...


@runtime_checkable
class RewardFn(Protocol):
    """Reward as a function of the transition."""

    def reward(self, params: PyTree, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """float[] or float[m]."""
        ...


@runtime_checkable
class Renders(Protocol):
    """A picture, as a pure function."""

    def render(self, state: PyTree, params: PyTree) -> Array:
        """A picture of a state, uint8[H, W, 3]."""
        ...


@runtime_checkable
class HasItem(Protocol):
    """The item that a state adds to a set: position, cell or features."""

    def item(self, params: PyTree, state: PyTree) -> PyTree:
        """The item of `state`."""
        ...


@runtime_checkable
class Scripted(Protocol):
    """`step` with its randomness as explicit uniforms `u`: traces without a generator."""

    def step_u(self, state: PyTree, action: PyTree, u: Array, params: PyTree) -> tuple[PyTree, Step]:
        """The step of `step`, with `u` in [0, 1) in place of the key; its shape is the environment's own."""
        ...


CAPABILITIES: dict[type, tuple[str, ...]] = {
    SamplesParams: ("sample_params",),
    HasTimeLimit: ("time_limit",),
    Finite: ("to_tabular", "state_index", "state_at"),
    RewardFn: ("reward",),
    Renders: ("render",),
    HasItem: ("item",),
    Scripted: ("step_u",),
}


class Entry(NamedTuple):
    """An environment of the catalogue; a module lists its own as `ENVIRONMENTS: dict[str, Entry]`.

    inert: leaves of `Params` that random actions do not show (see `check_env`).
    """

    make: Callable[[], Env]
    inert: tuple[str, ...] = ()


def real(value: float) -> Array:
    """A strongly typed float[] in the default float dtype: a leaf of `default_params`."""
    return jnp.full((), value, jnp.result_type(float))


def integer(value: int | Array) -> Array:
    """A strongly typed int32[]."""
    return jnp.full((), value, jnp.int32)


def float_dtype(params: PyTree) -> Any:
    """The dtype of the float leaves of `params`, the default float dtype where there is none."""
    floats = [x.dtype for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.result_type(*floats) if floats else jnp.result_type(float)
