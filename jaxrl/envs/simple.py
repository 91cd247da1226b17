"""An environment from what is its own: spaces, numbers, a start and a move.

`SimpleEnv` supplies what the protocol of environments asks for beside that. Its subclasses are environments
like any other: `check_env` checks them, wrappers, learners and exports take them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Space, is_space
from jaxrl.core.tree import strong
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import float_dtype, integer, real

_OWN = ("observation_space", "action_space", "limit", "start", "move")


@dataclass_transform(frozen_default=True)
class SimpleEnv:
    """A base of environments, whose subclasses become frozen dataclasses by themselves.

    A subclass defines `observation_space`, `action_space`, `limit` (steps until an episode is truncated),
    `start(key, params) -> state` and `move(key, state, action, params) -> (state, reward, terminated)`. It
    may define `params`, the numbers as a dict from names to Python numbers, which `start` and `move` get as
    arrays; `observe(state, params) -> observation`, by default the state itself; and the optional methods of
    `jaxrl.envs.base`, such as `render`. Sizes are annotated fields, as in every dataclass.

    Raises UsageError, where the class is defined, for what is missing or of another kind.
    """

    params: ClassVar[Mapping[str, Any]] = {}
    limit: ClassVar[int]
    reward_dim: ClassVar[int | None] = None
    observation_space: ClassVar[Space]
    action_space: ClassVar[Space]
    start: ClassVar[Callable[..., PyTree]]
    move: ClassVar[Callable[..., tuple[PyTree, Any, Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        missing = [name for name in _OWN if not hasattr(cls, name)]
        if missing:
            raise UsageError(
                f"{cls.__name__}: defines no {missing[0]}; SimpleEnv says what a subclass defines"
            )
        limit = cls.limit
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit < 2**31:
            raise UsageError(f"{cls.__name__}: limit: must be a number of steps, at least 1, got {limit!r}")
        for name in ("observation_space", "action_space"):
            spaces = jax.tree.leaves(getattr(cls, name), is_leaf=is_space)
            if not spaces or not all(map(is_space, spaces)):
                got = getattr(cls, name)
                raise UsageError(f"{cls.__name__}: {name}: must be a space of jaxrl.core.spaces, got {got!r}")
        if not isinstance(cls.params, Mapping):
            kind = type(cls.params).__name__
            raise UsageError(f"{cls.__name__}: params: must be a dict from names to numbers, got {kind}")
        for name, value in cls.params.items():
            if not isinstance(value, int | float | np.number):
                raise UsageError(f"{cls.__name__}: params: {name} must be a number, got {value!r}")
        dataclass(frozen=True)(cls)

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self).__name__

    def default_params(self) -> dict[str, Array]:
        """The numbers of `params` as arrays: whole ones are int32[], the others float[]."""
        whole = (int, np.integer)
        return {name: (integer if isinstance(x, whole) else real)(x) for name, x in self.params.items()}

    def time_limit(self, params: PyTree) -> Array:
        """int32[], the steps of `limit`."""
        return integer(self.limit)

    def observe(self, state: PyTree, params: PyTree) -> PyTree:
        """The observation of a state: the state itself."""
        return state

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """A start and its observation."""
        state = _cast(self.start(key, params), params)
        return state, _cast(self.observe(state, params), params)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """A move and what it emits."""
        moved = self.move(key, state, action, params)
        if not isinstance(moved, tuple) or len(moved) != 3:
            kind = f"{len(moved)} values" if isinstance(moved, tuple) else type(moved).__name__
            raise UsageError(f"{self.name}: move returns {kind}, not (state, reward, terminated)")
        after, terminated = _cast(moved[0], params), jnp.asarray(moved[2], bool)
        reward = _cast(jnp.asarray(moved[1], float_dtype(params)), params)
        return after, Step(_cast(self.observe(after, params), params), reward, terminated, {})


def _cast(tree: PyTree, params: PyTree) -> PyTree:
    """Strongly typed arrays: floats of the dtype of `params`, signed integers int32, the rest as it is."""

    def convert(leaf: Any) -> Array:
        x = jnp.asarray(leaf)
        if jnp.issubdtype(x.dtype, jnp.floating):
            return x.astype(float_dtype(params))
        return x.astype(jnp.int32) if x.dtype in (jnp.int8, jnp.int16, jnp.int32, jnp.int64) else x

    return strong(jax.tree.map(convert, tree))
