"""RF-RL-Explore (jin2020reward) with UCBVI: learn to reach every state at every stage, then sample from all.

Of K episodes the first S (H - 1) N_0 <= K / 2 are spent on learning, N_0 = floor(K / (2 S (H - 1))) for every
state s and stage h = 2 .. H. Their learner is UCBVI for the reward 1[s_h = s]:

    Q_j(x, a) = min{1, b(x, a) + sum_y p^(y | x, a) V_{j+1}(y)},  j = h - 1 .. 1,     V_h = e_s
    b(x, a) = c_b sqrt(log(2 S A H K / delta) / max(n(x, a), 1))

with ties at random, one pooled count for all inner learners, and uniform actions from stage h on. The paper
runs over all (s, h) without saying in which order, which matters where counts are pooled: here it is all
stages of the first state, then those of the next. Every policy that was played is kept. The other episodes
draw one of these policies uniformly, again with uniform actions from its stage h on. Planning uses the counts
of these (the paper's) or of all episodes. At c_b = 1 a share of runs misses a digit of the lock of six after
1000 episodes, see the README.

The paper has EULER in place of UCBVI; report this as "RF-RL-Explore (UCBVI)".

Legend: `S` states, `A` actions, `H` stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.reward_free.tabular.counts import kernel, no_counts, recorded, visits
from jaxrl.reward_free.tabular.episodes import (
    Env,
    assembled,
    check_env,
    check_sizes,
    greedy_in,
    rollout,
    uniforms,
    visited,
)
from jaxrl.reward_free.tabular.fields import Confidence
from jaxrl.reward_free.tabular.planning import backward, best, expected


@dataclass(frozen=True)
class Config:
    """Static choices of RF-RL-Explore."""

    horizon: Size = 20
    """Largest number of stages of an episode, at least every member's `Hyper.horizon`."""
    budget: Size = 1000
    """Number of episodes K in all, at least 2 S (H - 1). Paper: of order H^5 S^2 A / epsilon^2."""
    counts: Literal["sampled", "all"] = "sampled"
    """Whether planning uses the counts of the second part alone or of all episodes. Paper: "sampled"."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of RF-RL-Explore."""

    horizon: Size = 20
    """Number of stages of an episode, H, at most `Config.horizon`."""
    delta: Confidence = 0.1
    """Probability of failure of the bonus, delta, in (0, 1)."""
    bonus_scale: Positive = 0.1
    """Factor c_b of the bonus; 1 needs more than three times as many episodes on a lock of six digits."""


class State(NamedTuple):
    """State of RF-RL-Explore.

    counts: int32[1, S, A, S], those that planning uses. inner: int32[1, S, A, S] of the first part. policies:
    ints[K // 2, H, S], those of the first part. index: float[H, S, A], the last episode's policy. key:
    constant. updates: int32[], episodes; from K on nothing is done.
    """

    counts: Array
    inner: Array
    policies: Array
    index: Array
    key: Key
    updates: Array


def make(config: Config, env: Env) -> Algorithm:
    """RF-RL-Explore on `env`; one update is one episode, `data` the parameters of `env`.

    Raises `UsageError` for fewer than two stages, or for a budget without one episode per state and stage.
    """
    check_env(env)
    size, S, A, K = config.horizon, env.S, env.A, config.budget
    if size < 2:
        raise UsageError(f"Config.horizon: must be >= 2 for RF-RL-Explore, got {size}")
    smallest = 2 * S * (size - 1)
    if smallest > K:
        raise UsageError(
            f"Config.budget: {K} episodes leave less than one per state and stage; the smallest that works"
            f" for S = {S} and H = {size} is {smallest}"
        )

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_sizes(env, data)
        none = no_counts("pooled", size, S, A)
        policies = jnp.zeros((K // 2, size, S), np.min_scalar_type(A))
        return State(none, none, policies, jnp.zeros((size, S, A)), key, jnp.zeros((), jnp.int32))

    def explore(state: State, hyper: Hyper, data: PyTree) -> State:
        k_plan, k_draw, k_episode = jax.random.split(stream(state.key, state.updates), 3)
        each = K // (2 * S * jnp.maximum(hyper.horizon - 1, 1))
        learns = state.updates < each * S * (hyper.horizon - 1)
        drawn = jax.random.randint(k_draw, (), 0, each * S * (hyper.horizon - 1))
        number = jnp.where(learns, state.updates, drawn)
        place, later = number // each, jnp.maximum(hyper.horizon - 1, 1)
        target, stage = place // later, 1 + place % later

        def learn() -> Array:
            b = hyper.bonus_scale * width(visits(state.inner)[0], hyper.horizon, K, hyper.delta)
            Q = reaching(b, kernel(state.inner), target, stage, size)
            ties = jax.random.uniform(k_plan, Q.shape)
            return jnp.argmax(jnp.where(best(Q), ties, -1), -1).astype(state.policies.dtype)

        policy = jax.lax.cond(learns, learn, lambda: state.policies[number])
        before = (jnp.arange(size) < stage)[:, None, None]
        index = jnp.where(before, jax.nn.one_hot(policy, A, dtype=state.index.dtype), 0)
        numbers = uniforms(k_episode, size, A)
        states, actions = rollout(env, data, greedy_in(index), hyper.horizon, numbers)

        def with_episode(counts: Array, wanted: Array) -> Array:
            return recorded(counts, states, actions, jnp.where(wanted, hyper.horizon, 0))

        return state._replace(
            counts=with_episode(state.counts, ~learns | (config.counts == "all")),
            inner=with_episode(state.inner, learns),
            policies=state.policies.at[jnp.where(learns, number, K)].set(policy, mode="drop"),
            index=index,
        )

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Array]]:
        on = state.updates < K
        after = jax.lax.cond(on, explore, lambda state, *_: state, state, hyper, data)
        return after._replace(updates=state.updates + 1), {"pairs": visited(after.counts)}

    return assembled(__name__, config, env, init, step, lambda state: state.index)


def width(n: Array, horizon: Array, K: int, delta: Array) -> Array:
    """sqrt(log(2 S A H K / delta) / max(n, 1)) `[S, A]`, the bonus at c_b = 1; n `[S, A]`, H and delta []."""
    return jnp.sqrt(jnp.log(2 * n.size * horizon * K / delta) / jnp.maximum(n, 1))


def reaching(b: Array, p: Array, target: Array, stage: Array, size: int) -> Array:
    """Q `[H, S, A]` of UCBVI for the reward of being in state `target` int32[] after `stage` int32[] actions.

    b: bonus `[S, A]`. p: kernel `[1, S, A, S]`. Stages from `stage` on have index 0.
    """
    S, A = b.shape

    def Q(h: Array, V: Array) -> Array:
        return jnp.minimum(1, b + expected(p, h, V))

    return backward(size, stage, S, A, Q, last=jax.nn.one_hot(target, S, dtype=b.dtype))[0]
