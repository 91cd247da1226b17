"""UCRL-RFE: reward-free exploration of linear mixture MDPs, Hoeffding bonuses (Zhang, Zhou, Gu; 2110.06394).

    r_h(s, a) = min{1, (2 beta / H) max_{f in [0, H - h]^S} |phi_f(s, a)|_{Gram^-1}}     pseudo-reward
    u_h       = the maximiser f at the visited pair                                      pseudo-value

An episode follows PLAN for the pseudo-reward; then Gram += phi_u phi_u', b += phi_u u(s'), theta = Gram^-1 b.
For a reward that comes later PLAN is called with it, bonus included. H V_1 of the exploration plan is the
certificate: what that can lose, on the event that theta* is within beta.

With `value_range="one"` rewards have a sum of at most 1 along every trajectory: f is in [0, 1]^S before the
last stage and 0 there, values end at 1 and the pseudo-reward at 1 / H.

Legend: `P` pairs, `B` blocks of `k` features, `H` largest horizon, `S` states, `A` actions. Stages count from
0. `data` is the mixture, of which the learner reads features and `mu0`; its theta is read by the simulator
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.fields import NonNegative, Positive
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.reward_free import episodes, fields, radii
from jaxrl.reward_free.features import Form, form_of, parameter_of
from jaxrl.reward_free.inner import SOLVERS, SolverName
from jaxrl.reward_free.optimism import plan_optimistically
from jaxrl.reward_free.planning import check_rewards, table_policy
from jaxrl.reward_free.regression import VTRState, rank_one, refactored, ridge


@dataclass(frozen=True)
class Config(fields.Config):
    """Static choices of UCRL-RFE."""

    inner: SolverName = "exact"
    """How the inner maximum is found, see `inner.py`. Paper: the l1 surrogate."""
    value_range: Literal["one", "published"] = "one"
    """Range of values: "one" where rewards sum to at most 1 along a trajectory, "published" where each is at
    most 1 and values at most H. Paper: "published"."""
    pin: bool = False
    """Whether the regression is told that probabilities sum to 1."""


@struct.dataclass
class Hyper(fields.Hyper):
    """Hyper-parameters of UCRL-RFE, each a leaf that can be swept."""

    bound: Positive = 1.0
    """The bound B >= |theta*|, > 0; the ridge weight is B^-2."""
    budget: Positive = 3e5
    """The number of episodes K in the logarithm of the radius, >= 1."""
    epsilon: NonNegative = 0.0
    """Exploration stops where the certificate is at most this; 0 never stops."""


class Plan(NamedTuple):
    """What an episode follows.

    policy: int32[H, S]. value: float[H + 1, S], V of PLAN. sets: float[P, S], maximisers of the inner
    problem.
    """

    policy: Array
    value: Array
    sets: Array


class State(NamedTuple):
    """State of UCRL-RFE.

    regression: VTRState on pseudo-values. plan: what episodes follow. certificate: float[], H V_1 of it.
    log_det: float[] when it was made. episodes, plans: int32[], how many there were. certified: int32[], the
    first episode whose certificate is at most `Hyper.epsilon`, counted from 1, and -1 before. key: constant.
    updates: int32[].
    """

    regression: VTRState
    plan: Plan
    certificate: Array
    log_det: Array
    episodes: Array
    plans: Array
    certified: Array
    key: Key
    updates: Array


def make(config: Config, env: Any) -> Algorithm:
    """UCRL-RFE on `env`, the simulator of linear mixtures; `data` is a mixture of its sizes.

    Metrics: `certificate` of the plan that is followed, `beta`, `episodes`, `plans`, and `certified`, the
    first certified episode or -1.

    Raises:
        UsageError: a problem that is too large for `Config.inner`, or a mixture of other sizes.
    """

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        form = form_of(data)
        regression = ridge(form, jnp.asarray(hyper.bound, data.mu0.dtype) ** -2, pin=config.pin)
        return start(config, form, regression, hyper, key)

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Array]]:
        form = form_of(data)

        def one(state: State) -> State:
            u = episodes.uniforms(state.key, state.episodes, config.horizon, hyper.horizon, data.mu0.dtype)
            return episode(config, env, form, state, hyper, data, u)

        state = episodes.several(config.episodes, one, state)
        return state._replace(updates=state.updates + 1), metrics(state, radius(config, hyper, form))

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return table_policy(state.plan.policy)

    origin = Origin(__name__, config, episodes.observations(config.horizon, env), env.action_space, env)
    check = episodes.checked_mixture(env)
    check_hyper = episodes.checked_member(config.horizon)
    return Algorithm(init, step, act, check=check, origin=origin, check_hyper=check_hyper)


def radius(config: Config, hyper: Hyper, form: Form) -> Array:
    """c_beta times the radius of the theorem, float[]."""
    numbers = (hyper.budget, hyper.horizon, form.dim, hyper.bound, hyper.delta)
    theory = radii.rfe_published if config.value_range == "published" else radii.rfe_one
    return hyper.c_beta * theory(*numbers)


def ranges(config: Config, hyper: Hyper) -> Array:
    """Upper ends of the ranges of value functions of the next stage, float[H]; 0 from the last stage on."""
    left = hyper.horizon - 1 - jnp.arange(config.horizon)
    return jnp.maximum(left, 0) if config.value_range == "published" else (left > 0).astype(int)


def pseudo_rewards(config: Config, hyper: Hyper, beta: Array, norm: Array) -> Array:
    """The pseudo-rewards `[H, P]` of the inner maxima `[P]` on [0, 1]^S, see the top of the file; beta `[]`.

    Equation: zhang2021rfe [pseudo-reward]
    """
    most = 1.0 if config.value_range == "published" else 1.0 / hyper.horizon
    largest = ranges(config, hyper)[:, None] * norm[None]
    return jnp.minimum(2 * beta / hyper.horizon * largest, most)


def ceiling(config: Config, hyper: Hyper) -> Array:
    """The largest value, float[]."""
    return jnp.asarray(hyper.horizon if config.value_range == "published" else 1.0, float)


def start(config: Config, form: Form, regression: VTRState, hyper: Hyper, key: Key) -> State:
    """The state before the first plan."""
    H, S, P, zero = config.horizon, form.n_states, form.n_states * form.n_actions, jnp.zeros((), jnp.int32)
    dtype = regression.b.dtype
    policy, value = jnp.zeros((H, S), jnp.int32), jnp.zeros((H + 1, S), dtype)
    trivial = jnp.asarray(hyper.horizon * ceiling(config, hyper), dtype)
    log_det = regression.log_det.sum()
    return State(
        regression,
        Plan(policy, value, jnp.zeros((P, S), dtype)),
        trivial,
        log_det,
        *[zero] * 2,
        zero - 1,
        key,
        zero,
    )


def episode(
    config: Config, env: Any, form: Form, state: State, hyper: Hyper, data: PyTree, u: Array
) -> State:
    """One episode on uniform numbers u `[H + 1]`, the first for the start: a plan where one is due,
    transitions.

    An episode whose plan is certified is not run; its index is kept.
    """
    state = jax.lax.cond(
        episodes.is_due(state.plans, state.regression.log_det, state.log_det, hyper.ratio),
        lambda state: replanned(config, form, state, hyper, data.mu0),
        lambda state: state,
        state,
    )
    k = state.episodes + 1

    def explore(state: State) -> State:
        def learn(regression: VTRState, h: Array, pair: Array, after: Array) -> VTRState:
            f = ranges(config, hyper)[h] * state.plan.sets[pair]
            x, one = form.phi_at(f, pair), jnp.ones((), f.dtype)
            return rank_one(regression, form.block(pair), x, f[after], one)

        choose = episodes.by_table(state.plan.policy)
        regression = episodes.run(env, choose, state.regression, hyper.horizon, data, u, learn)
        return state._replace(regression=regression, episodes=k)

    def stop(state: State) -> State:
        return state._replace(certified=k)

    return jax.lax.cond(state.certificate <= hyper.epsilon, stop, explore, state)


def replanned(config: Config, form: Form, state: State, hyper: Hyper, mu0: Array) -> State:
    """The state with a new plan, its Gram matrix factored anew; mu0 `[S]`."""
    regression = refactored(state.regression)
    beta = jnp.asarray(radius(config, hyper, form), mu0.dtype)
    largest = SOLVERS[config.inner](form, regression.inverse)
    rewards = pseudo_rewards(config, hyper, beta, largest.norm).reshape(1, config.horizon, form.n_states, -1)
    policy, value = plan_optimistically(
        form,
        regression.theta,
        regression.inverse,
        rewards,
        beta,
        ceiling(config, hyper).astype(mu0.dtype),
        hyper.horizon,
        jnp.asarray(hyper.shadow, mu0.dtype),
    )
    return state._replace(
        regression=regression,
        plan=Plan(policy[0], value[0], largest.sets),
        certificate=hyper.horizon * (mu0 @ value[0, 0]),
        log_det=regression.log_det,
        plans=state.plans + 1,
    )


def metrics(state: Any, beta: Array) -> dict[str, Array]:
    """What is logged, float32[] each."""
    values = {name: getattr(state, name) for name in ("certificate", "episodes", "plans", "certified")}
    return {name: jnp.asarray(x, jnp.float32) for name, x in (values | {"beta": beta}).items()}


def certificate(state: State) -> Array:
    """float[], what planning can lose for any reward of the range, H V_1 of the current exploration plan.

    Equation: zhang2021rfe [certificate of planning]
    """
    return state.certificate


def plan(config: Config, state: State, hyper: Hyper, data: PyTree, rewards: Array) -> Array:
    """Policies int32[n, H, S] for rewards `[n, H, S, A]`, all in one call, by PLAN with its bonus.

    The policies run by `planning.table_policy`.

    Raises:
        UsageError: rewards of another shape, or outside the range of `Config.value_range`.
    """
    per_step = config.value_range == "published"
    check_rewards(rewards, config.horizon, data.n_states, data.n_actions, per_step=per_step)
    form, regression = form_of(data), refactored(state.regression)
    beta = jnp.asarray(radius(config, hyper, form), regression.b.dtype)
    most, shadow = (jnp.asarray(x, regression.b.dtype) for x in (ceiling(config, hyper), hyper.shadow))
    return plan_optimistically(
        form, regression.theta, regression.inverse, rewards, beta, most, hyper.horizon, shadow
    )[0]


def model(state: State, data: PyTree) -> Array:
    """The estimated transition probabilities float[S, A, S], rows clipped at 0 and divided by their sums."""
    form = form_of(data)
    return form.table(form.kernel(refactored(state.regression).theta))


def realised_radius(config: Config, state: State, hyper: Hyper, data: PyTree) -> Array:
    """rho, float[]: theta* lies within the radius exactly where c_beta >= rho. For simulations."""
    form = form_of(data)
    unit = radius(config, hyper.replace(c_beta=1.0), form)
    return radii.realised(refactored(state.regression), parameter_of(data), unit)
