"""The generative oracle, a control: equally many samples of every pair, as if states could be chosen.

One update draws `Hyper.horizon` samples, as many as an episode has steps. Pairs are taken in random order,
and every pair once before any again: after n samples each has floor(n / S A) of them, and the remainder is
a uniformly random set of pairs.

Legend: `S` states, `A` actions, `H` stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.prng import permutation, stream
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.reward_free.tabular.counts import no_counts
from jaxrl.reward_free.tabular.episodes import Env, assembled, check_env, check_sizes, visited


@dataclass(frozen=True)
class Config:
    """Static choices of the generative oracle."""

    horizon: Size = 20
    """Largest number of samples per update, at least every member's `Hyper.horizon`."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of the generative oracle."""

    horizon: Size = 20
    """Number of samples per update, at most `Config.horizon`."""


class State(NamedTuple):
    """State of the generative oracle.

    counts: int32[1, S, A, S]. order: int32[S A], the pairs s A + a in the order of this pass. index: float[H,
    S, A] of zeros, because nothing is planned. key: constant. updates: int32[].
    """

    counts: Array
    order: Array
    index: Array
    key: Key
    updates: Array


def make(config: Config, env: Env) -> Algorithm:
    """The generative oracle of `env`, `data` the parameters of `env`; its policy is uniform.

    Raises `UsageError` for a simulator of tables that change with the step.
    """
    check_env(env)
    size, pairs = config.horizon, env.S * env.A

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_sizes(env, data)
        counts, index = no_counts("pooled", size, env.S, env.A), jnp.zeros((size, env.S, env.A))
        return State(counts, jnp.arange(pairs, dtype=jnp.int32), index, key, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Array]]:
        orders, successors = jax.random.split(stream(state.key, state.updates))
        u = jax.random.uniform(successors, (size,), jnp.result_type(float))

        def sample(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            counts, order = carry
            place = (state.updates * hyper.horizon + i) % pairs
            order = jax.lax.cond(
                place == 0, lambda: permutation(stream(orders, i), pairs), lambda: order
            )  # a new pass
            s, a = order[place] // env.A, order[place] % env.A
            after, _ = env.step_u(env.state_at(data, s), a, u[i], data)
            return counts.at[0, s, a, env.state_index(data, after)].add(1), order

        counts, order = jax.lax.fori_loop(0, hyper.horizon, sample, (state.counts, state.order))
        after = state._replace(counts=counts, order=order, updates=state.updates + 1)
        return after, {"pairs": visited(counts)}

    return assembled(__name__, config, env, init, step, lambda state: state.index)
