"""UCB1 (auer2002finite): pull the arm whose upper confidence bound is largest.

Legend: `K` arms. `data` is the environment's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxrl.bandit.objectives import ucb_index
from jaxrl.envs.bandit_arms import Arms, ArmsParams

from jaxrl.core.fields import Positive
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree, struct


@dataclass(frozen=True)
class Config:
    """No choices: the environment has the number of arms."""


@struct.dataclass
class Hyper:
    """Hyper-parameters of UCB1."""

    width: Positive = 1.0
    """Scale of the confidence bonus. Paper: 1."""


class State(NamedTuple):
    """State of UCB1.

    n: float[K], pulls of each arm; total: float[K], rewards; key: constant; updates: int32[], pulls so far.
    """

    n: Array
    total: Array
    key: Key
    updates: Array


def make(config: Config, env: Arms) -> Algorithm:
    """UCB1 on `env`; one update is one pull."""

    def init(key: Key, hyper: Hyper, data: ArmsParams) -> State:
        zeros = jnp.zeros(env.arms)
        return State(zeros, zeros, key, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: ArmsParams) -> tuple[State, dict[str, Array]]:
        mean = state.total / jnp.maximum(state.n, 1)
        arm = jnp.argmax(ucb_index(mean, state.n, state.updates, hyper.width))
        _, out = env.step(stream(state.key, state.updates), mean[arm], arm, data)
        n, total = state.n.at[arm].add(1), state.total.at[arm].add(out.reward)
        return State(n, total, state.key, state.updates + 1), {"regret": data.p.max() - data.p[arm]}

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        best = jnp.argmax(state.total / jnp.maximum(state.n, 1))

        def choose(key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
            return best, (), memory

        return Policy(choose)

    return Algorithm(init, step, act)
