"""Whole episodes of a policy, with the items of the states that it visits.

Legend: `E` episodes, `T` steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax

from jaxrl.core.types import Key, Policy, PyTree, Step, Transition
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.wrapper import Wrapper
from jaxrl.rollout.unroll import Freeze, VecState, start, unroll


@dataclass(frozen=True)
class ShowItem(Wrapper):
    """Adds the new state's item to `info` as "item"."""

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """The step with the item in its info."""
        return inner, out._replace(info={**out.info, "item": self.env.item(params, inner)})


def play(
    env: Env, policy: Policy, key: Key, data: PyTree, count: int, steps: int, keep: tuple[str, ...] = ()
) -> tuple[VecState, VecState, Transition]:
    """`(first, last, batch)`: states [E, ...] at the start and at the end, and transitions [T, E, ...]
    between.

    steps: T, at least the time limit; an episode that has ended stays where it is. keep: entries of
    `Step.info`.
    """
    k_start, k_steps = jax.random.split(key)
    first = start(env, policy, k_start, data, count)
    last, batch, _ = unroll(env, policy, first, k_steps, data, length=steps, reset=Freeze(), keep=keep)
    return first, last, batch
