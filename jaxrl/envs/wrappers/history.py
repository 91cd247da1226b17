"""Observations that hold the items visited so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.base import (
    Finite,
    HasItem,
)
from jaxrl.envs.wrappers.wrapper import Wrapper


class HistoryState(NamedTuple):
    """State of `History`.

    items: int32[n], oldest first, -1 where the episode has not been yet.
    """

    env: PyTree
    items: Array


@dataclass(frozen=True)
class History(Wrapper):
    """State gains the last `n` items of the episode, the first state's included, oldest first, padded by -1.

    of: `(params, state) -> int32[]` of the inner environment, default its own `item`. With `observe`, obs
    becomes `{"obs": o, "history": int32[n]}`.
    """

    n: Size
    of: Callable[[PyTree, PyTree], Array] | None = None
    observe: bool = False
    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of is None and not isinstance(self.env, HasItem):
            raise UsageError(f"History.of: {self.env.name} has no item; give a function (params, state)")

    @property
    def observation_space(self) -> Space:
        """The inner observation, and the items where they are shown."""
        space = self.env.observation_space
        if not self.observe:
            return space
        return {"obs": space, "history": Box(-1, np.iinfo(np.int32).max, (self.n,), np.int32)}

    def inner_state(self, state: HistoryState) -> PyTree:
        """Without the items."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[HistoryState, PyTree]:
        """The first item."""
        items = jnp.full(self.n, -1, jnp.int32).at[0].set(self._item(params, inner))
        return HistoryState(inner, items), self._show(obs, items)

    def advance(
        self, state: HistoryState, inner: PyTree, out: Step, params: PyTree
    ) -> tuple[HistoryState, Step]:
        """One item more; the oldest goes when the buffer is full."""
        seen = jnp.sum(state.items >= 0)
        items = jnp.where(seen < self.n, state.items, jnp.roll(state.items, -1))
        items = items.at[jnp.minimum(seen, self.n - 1)].set(self._item(params, inner))
        return HistoryState(inner, items), out._replace(obs=self._show(out.obs, items))

    def _item(self, params: PyTree, inner: PyTree) -> Array:
        return (self.env.item if self.of is None else self.of)(params, inner)

    def _show(self, obs: PyTree, items: Array) -> PyTree:
        return {"obs": obs, "history": items} if self.observe else obs


history = History
