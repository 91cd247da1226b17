"""UCB1 (auer2002finite): pull the arm whose upper confidence bound is largest.

Legend: `K` arms. `data` is float[K], the success probabilities of Bernoulli arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxrl.bandit.objectives import ucb_index

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree, struct


@dataclass(frozen=True)
class Config:
    """arms: K."""

    arms: int = 4

    def __post_init__(self) -> None:
        if self.arms < 2:
            raise UsageError(f"arms: must be >= 2, got {self.arms}")


@struct.dataclass
class Hyper:
    """width: scale of the bonus, 1 in the paper."""

    width: Any = 1.0


class State(NamedTuple):
    """n: float[K] pulls; total: float[K] rewards; key; updates: int32[] pulls of all arms."""

    n: Array
    total: Array
    key: Key
    updates: Array


def make(config: Config) -> Algorithm:
    """UCB1 for `config.arms` arms; one update is one pull."""

    def init(key: Key, hyper: Hyper, data: Array) -> State:
        zeros = jnp.zeros(config.arms)
        return State(zeros, zeros, key, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: Array) -> tuple[State, dict[str, Array]]:
        mean = state.total / jnp.maximum(state.n, 1)
        pulled = jax.nn.one_hot(jnp.argmax(ucb_index(mean, state.n, state.updates, hyper.width)), config.arms)
        reward = jax.random.bernoulli(stream(state.key, state.updates), pulled @ data).astype(jnp.float32)
        state = State(state.n + pulled, state.total + reward * pulled, state.key, state.updates + 1)
        return state, {"regret": data.max() - pulled @ data}

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        best = jnp.argmax(state.total / jnp.maximum(state.n, 1))

        def choose(key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
            return best, (), memory

        return Policy(choose)

    return Algorithm(init, step, act)
