"""Episodes of learners that know the reward: optimistic plans on value-targeted regressions.

    V = PLAN(theta, Gram, r, beta),     Gram += w phi_V phi_V',     b += w phi_V V(s'),

with V the values of the next stage; w, the number of regressions and the radius are what the learners differ
in (`Rule`). They are yardsticks for the reward-free ones, which have to serve all rewards from the same
episodes. The plan is made anew where the Gram matrices have grown, everything else in every episode.

Legend: `B` blocks of `k` features, `H` largest horizon, `S` states, `A` actions; leading axes `[...]` are
regressions side by side. Stages count from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree
from jaxrl.reward_free import episodes
from jaxrl.reward_free.features import Form, form_of
from jaxrl.reward_free.fields import Config
from jaxrl.reward_free.optimism import plan_optimistically
from jaxrl.reward_free.planning import table_policy
from jaxrl.reward_free.regression import VTRState, refactored
from jaxrl.reward_free.rewards import check_reward


class Data(NamedTuple):
    """What is learned from: the mixture, and the known reward float[H, S, A], whose stage maxima sum to at
    most 1.
    """

    mixture: PyTree
    reward: Array


class State(NamedTuple):
    """State of a learner that knows the reward.

    regressions: VTRState, leaves `[...]`. policy: int32[H, S], what episodes follow. value: float[H + 1, S],
    its optimistic values. log_det: float[] when it was made. episodes, plans: int32[], how many there were.
    key: constant. updates: int32[].
    """

    regressions: VTRState
    policy: Array
    value: Array
    log_det: Array
    episodes: Array
    plans: Array
    key: Key
    updates: Array


class Optimism(NamedTuple):
    """What a plan is made with: theta `[B, k]`, inverse `[B, k, k]`, radius and ceiling of values, `[]`."""

    theta: Array
    inverse: Array
    beta: Array
    ceiling: Array


class Rule(NamedTuple):
    """What a learner is made of.

    start: `(form, hyper, dtype) -> VTRState` without data. optimism: `(form, regressions, hyper, k) ->
    Optimism` for episode k int32[] from 1. learn: `(form, regressions, snapshot, V [S], pair, next state,
    hyper, k) -> VTRState` after one transition, V the values of the next stage, snapshot the regressions at
    the start of the episode.
    """

    start: Callable[[Form, Any, Any], VTRState]
    optimism: Callable[[Form, VTRState, Any, Array], Optimism]
    learn: Callable[..., VTRState]


def learner(module: str, config: Config, env: Any, rule: Rule) -> Algorithm:
    """The algorithm of a rule on `env`, the simulator of linear mixtures; `data` is a `Data` of its sizes.

    Metrics: `optimistic` value of the start, `episodes`, and `plans`.

    Raises:
        UsageError: a mixture of other sizes, or a reward that is not in the class.
    """

    def init(key: Key, hyper: Any, data: Data) -> State:
        H, S, zero = config.horizon, env.S, jnp.zeros((), jnp.int32)
        regressions = rule.start(form_of(data.mixture), hyper, data.mixture.mu0.dtype)
        policy, value = jnp.zeros((H, S), jnp.int32), jnp.zeros((H + 1, S), data.mixture.mu0.dtype)
        return State(regressions, policy, value, regressions.log_det.sum(), zero, zero, key, zero)

    def step(state: State, hyper: Any, data: Data) -> tuple[State, dict[str, Array]]:
        form, mu0 = form_of(data.mixture), data.mixture.mu0

        def one(_: Array, state: State) -> State:
            u = episodes.uniforms(state.key, state.episodes, config.horizon, hyper.horizon, mu0.dtype)
            return episode(env, form, rule, state, hyper, data, u)

        state = jax.lax.fori_loop(0, config.episodes, one, state)
        found = {"optimistic": mu0 @ state.value[0], "episodes": state.episodes, "plans": state.plans}
        metrics = {name: jnp.asarray(x, jnp.float32) for name, x in found.items()}
        return state._replace(updates=state.updates + 1), metrics

    def act(state: State, hyper: Any, greedy: bool) -> Policy:
        return table_policy(state.policy)

    def check(data: Data) -> None:
        episodes.checked_mixture(env)(data.mixture)
        check_reward(data.reward, config.horizon, env.S, env.A)

    def check_hyper(hyper: Any, data: Data) -> None:
        episodes.checked_member(config.horizon)(hyper, data.mixture)

    origin = Origin(module, config, episodes.observations(config.horizon, env), env.action_space, env)
    return Algorithm(init, step, act, check=check, origin=origin, check_hyper=check_hyper)


def episode(env: Any, form: Form, rule: Rule, state: State, hyper: Any, data: Data, u: Array) -> State:
    """One episode on uniform numbers u `[H + 1]`, the first for the start: a plan where one is due, then the
    transitions.
    """
    state = jax.lax.cond(
        episodes.is_due(state.plans, state.regressions.log_det.sum(), state.log_det, hyper.ratio),
        lambda state: replanned(form, rule, state, hyper, data.reward),
        lambda state: state,
        state,
    )
    k, snapshot = state.episodes + 1, state.regressions

    def learn(regressions: VTRState, h: Array, pair: Array, after: Array) -> VTRState:
        return rule.learn(form, regressions, snapshot, state.value[h + 1], pair, after, hyper, k)

    choose = episodes.by_table(state.policy)
    found = episodes.run(env, choose, snapshot, hyper.horizon, data.mixture, u, learn)
    return state._replace(regressions=found, episodes=k)


def replanned(form: Form, rule: Rule, state: State, hyper: Any, reward: Array) -> State:
    """The state with a new plan for the reward `[H, S, A]`, its Gram matrices factored anew."""
    regressions = refactored(state.regressions)
    dtype = regressions.b.dtype
    optimism = rule.optimism(form, regressions, hyper, state.episodes + 1)
    beta, ceiling, shadow = (jnp.asarray(x, dtype) for x in (optimism.beta, optimism.ceiling, hyper.shadow))
    policy, value = plan_optimistically(
        form, optimism.theta, optimism.inverse, reward[None], beta, ceiling, hyper.horizon, shadow
    )
    return state._replace(
        regressions=regressions,
        policy=policy[0],
        value=value[0],
        log_det=regressions.log_det.sum(),
        plans=state.plans + 1,
    )
