"""Every action repeated a fixed number of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax

from jaxrl.core.fields import Size
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import (
    Finite,
    RewardFn,
    Scripted,
)
from jaxrl.envs.wrappers.wrapper import Wrapper


@dataclass(frozen=True)
class ActionRepeat(Wrapper):
    """Applies each action `k` times and adds the rewards; stops, and stops adding, at a termination.

    `info` is that of the last step taken. A time limit of L inner steps becomes ceil(L / k).
    """

    k: Size
    hidden: ClassVar[tuple[type, ...]] = (Finite, RewardFn, Scripted)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """`k` inner steps."""
        keys = streams(key, self.k)

        def again(carry: tuple[PyTree, Step], key: Key) -> tuple[tuple[PyTree, Step], None]:
            state, out = carry
            after, new = self.env.step(key, state, action, params)
            new = new._replace(reward=out.reward + new.reward)
            return tree_where(out.terminated, carry, (after, new)), None

        first = self.env.step(keys[0], state, action, params)
        return jax.lax.scan(again, first, keys[1:])[0]

    def time_limit(self, params: PyTree) -> Array:
        """int32[], the time limit in outer steps."""
        return -(-self.env.time_limit(params) // self.k)


action_repeat = ActionRepeat
