"""HF-UCRL-RFE++: horizon-free reward-free exploration of linear mixture MDPs (Zhang, Zhang, Gu; 2303.10165).

Two series of M regressions estimate theta, one on powers of the truncated uncertainty Vhat of the current
plan, one on powers of its value V, with weights from moments of higher order (`moments.py`). An episode
follows the policy whose uncertainty is largest over the policies and rewards that the oracle looks at
(`oracles.py`). Four times that uncertainty is the certificate: what planning without a bonus on the estimate
can lose, for every reward whose stage maxima sum to at most 1, on the event that the radius covers and as far
as the oracle is exact.

One update is `Config.episodes` episodes. The plan is made anew where the Gram matrices have grown, everything
else in every episode. Nothing here resets, truncates or counts steps: an episode is a loop of `Hyper.horizon`
transitions.

Legend: `M` orders, `B` blocks of `k` features, `H` largest horizon, `S` states, `A` actions. `data` is the
mixture, of which the learner reads features and `mu0`; its theta is read by the simulator alone.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import NonNegative, Positive, Range, Size
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.reward_free import episodes, fields, radii
from jaxrl.reward_free.ellipsoids import move_inside
from jaxrl.reward_free.features import Form, form_of, parameter_of
from jaxrl.reward_free.moments import Snapshot, Weights, observe, powers
from jaxrl.reward_free.oracles import ORACLES, OracleName
from jaxrl.reward_free.planning import check_rewards, plan_on_kernel, table_policy
from jaxrl.reward_free.regression import VTRState, merged, refactored, ridge
from jaxrl.reward_free.uncertainty import Plan, View


@dataclass(frozen=True)
class Config(fields.Config):
    """Static choices of HF-UCRL-RFE++."""

    orders: Size = 4
    """Number M of orders of the moment weights. Paper: ceil(log2(7 K H)), which gives the same curves."""
    oracle: OracleName = "vertex_greedy"
    """How a policy and a reward of large uncertainty are found, see `oracles.py`. Paper: assumed."""
    beta: radii.BetaMode = "plain"
    """The radius, see `radii.py`. Paper: "theory", with which no run one can afford certifies anything."""
    estimate: Literal["merged", "first"] = "merged"
    """The estimate that plans are made with: that of all 2M regressions together, or that of order 0 of the
    first series, which satisfies the constraints of one series alone. Paper: any member of all 2M
    ellipsoids."""
    ellipsoids: Literal["all", "first"] = "first"
    """Which ellipsoids the merged estimate is moved into: those of all 2M regressions, or those of order 0 of
    both series. A small `c_beta` scales the ridge term of the radius, too, so that regressions of higher
    orders, whose targets are small, exclude the true parameter (`radius_board all` of the experiments).
    Paper: "all"."""
    weights: Weights = "online"
    """Where the weights have their gamma term from: the Gram matrix of the moment, that of the start of the
    episode, or "none" for unweighted regression. Paper: "online"."""
    replan: Literal["determinant", "geometric"] = "determinant"
    """When a plan is made: where the determinants of order 0 have grown by `Hyper.ratio`, or at episodes
    k, growth k, growth^2 k, ... Wide lanes evaluate both branches of the first. Paper: in every episode."""
    growth: Annotated[float, Range(1, open_low=True)] | None = None
    """Ratio of successive episodes with a plan of the geometric schedule, > 1; None takes 1 + min(0.2, 4 /
    d). One plan covers about one direction, so that the schedule needs of the order of growth^d episodes."""
    pin: bool = False
    """Whether all regressions are told that probabilities sum to 1. Without it the estimate of pairs without
    data is 0, so that their expectations vanish and, with a radius that does not cover, early certificates
    are too small."""


@struct.dataclass
class Hyper(fields.Hyper):
    """Hyper-parameters of HF-UCRL-RFE++, each a leaf that can be swept."""

    c_beta: Positive = 0.2
    """Multiplier of the radius, > 0; not read with `beta="theory"`. Belongs beside every certificate."""
    shadow: NonNegative = 1e-6
    """Weight of the untruncated uncertainty, which decides where the truncated one is the same, >= 0."""
    epsilon: NonNegative = 0.0
    """Exploration stops where the certificate is at most this; 0 never stops."""
    alpha: Positive | None = None
    """Smallest standard deviation of the weights, > 0; None takes H^-1/2. Paper: H^-1/2."""


class Best(NamedTuple):
    """The plan with the smallest certificate so far.

    certificate: float[]; theta: float[B, k]; episode: int32[].
    """

    certificate: Array
    theta: Array
    episode: Array


class State(NamedTuple):
    """State of HF-UCRL-RFE++.

    regressions: VTRState, leaves `[2, M, ...]`, on powers of Vhat and of V. plan: the policy that is
    followed, and the targets. theta: float[B, k], the estimate of the plan. best: the smallest certificate,
    which is planned with: Vhat_1 may rise with more data. certificate: float[], 4 Vhat_1 of the plan.
    log_det: float[] of order 0 when the plan was made. next_plan: int32[], the episode of the next plan of
    the geometric schedule. violated: int32[], how many of the ellipsoids of `Config.ellipsoids` the estimate
    was outside of when the plan was made. episodes, plans: int32[], how many there were. certified: int32[],
    the first episode whose certificate is at most `Hyper.epsilon`, counted from 1, and -1 before. key:
    constant. updates: int32[].
    """

    regressions: VTRState
    plan: Plan
    theta: Array
    best: Best
    certificate: Array
    log_det: Array
    next_plan: Array
    violated: Array
    episodes: Array
    plans: Array
    certified: Array
    key: Key
    updates: Array


class Radius(NamedTuple):
    """beta_k, alpha and gamma, float[] each, in the order in which `moments.observe` takes them."""

    beta: Array
    alpha: Array
    gamma: Array


def make(config: Config, env: Any) -> Algorithm:
    """HF-UCRL-RFE++ on `env`, the simulator of linear mixtures; `data` is a mixture of its sizes.

    Metrics: `certificate` of the plan that is followed, `best_certificate`, `beta`, `episodes`, `plans`,
    `violated` ellipsoids, and `certified`, the first certified episode or -1.
    """

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        form = form_of(data)
        lam = radii.ridge_weight(jnp.asarray(form.dim, data.mu0.dtype), hyper.bound)
        regressions = ridge(form, lam, (2, config.orders), pin=config.pin)
        theta = regressions.theta[0, 0]
        trivial, zero = jnp.asarray(4.0, theta.dtype), jnp.zeros((), jnp.int32)
        return State(
            regressions,
            _empty_plan(config.horizon, form, theta.dtype),
            theta,
            Best(trivial, theta, zero),
            trivial,
            regressions.log_det[0, 0],
            *[zero] * 4,
            zero - 1,
            key,
            zero,
        )

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Array]]:
        form = form_of(data)

        def one(state: State) -> State:
            u = uniforms(config, state, hyper, data.mu0.dtype)
            return episode(config, env, form, state, hyper, data, u)

        state = episodes.several(config.episodes, one, state)
        metrics = {
            "certificate": state.certificate,
            "best_certificate": state.best.certificate,
            "beta": radius(config, form, hyper, state.episodes + 1).beta,
            "episodes": state.episodes,
            "plans": state.plans,
            "violated": state.violated,
            "certified": state.certified,
        }
        metrics = {name: jnp.asarray(x, jnp.float32) for name, x in metrics.items()}
        return state._replace(updates=state.updates + 1), metrics

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return table_policy(state.plan.policy)

    def check(data: PyTree) -> None:
        episodes.checked_mixture(env)(data)
        if config.replan == "geometric" and config.growth is not None:
            _warn_of_growth(config.growth, float(form_of(data).dim))

    space = episodes.observations(config.horizon, env)
    origin = Origin(__name__, config, space, env.action_space, env)
    check_hyper = episodes.checked_member(config.horizon)
    return Algorithm(init, step, act, check=check, origin=origin, check_hyper=check_hyper)


def radius(config: Config, form: Form, hyper: Hyper, k: Array) -> Radius:
    """The constants of episode k int32[] from 1."""
    H, d = hyper.horizon, form.dim
    alpha = 1 / jnp.sqrt(H) if hyper.alpha is None else hyper.alpha
    gamma = jnp.power(jnp.asarray(d, float), -0.25)
    beta = radii.hf_radius(config.beta, hyper.c_beta, k, H, d, hyper.bound, hyper.delta, alpha, gamma)
    return Radius(beta, alpha, gamma)


def uniforms(config: Config, state: State, hyper: Hyper, dtype: jnp.dtype) -> tuple[Array, Key]:
    """The uniform numbers of the next episode, float[H + 1], see `episodes.drawn`; and a key for its oracle.

    Episode k draws the same numbers whatever the largest horizon is.
    """
    env, oracle = jax.random.split(stream(state.key, state.episodes))
    return episodes.drawn(env, config.horizon, hyper.horizon, dtype), oracle


def episode(
    config: Config,
    env: Any,
    form: Form,
    state: State,
    hyper: Hyper,
    data: PyTree,
    drawn: tuple[Array, Key],
) -> State:
    """One episode on the numbers of `uniforms`: a plan where one is due, then the transitions, if any.

    An episode whose plan is certified is not run; its index is kept.
    """
    k = state.episodes + 1
    numbers = radius(config, form, hyper, k)
    numbers = Radius(*(jnp.asarray(x, state.theta.dtype) for x in numbers))

    def renew(state: State) -> State:
        return replanned(config, form, state, hyper, data.mu0, numbers.beta, drawn[1])

    def stop(state: State) -> State:
        return state._replace(certified=k)

    def explore(state: State) -> State:
        regressions = transitions(config, env, form, state, hyper, data, numbers, drawn[0])
        return state._replace(regressions=regressions, episodes=k)

    state = jax.lax.cond(_due(config, state, hyper, k), renew, lambda state: state, state)
    return jax.lax.cond(state.certificate <= hyper.epsilon, stop, explore, state)


def replanned(
    config: Config, form: Form, state: State, hyper: Hyper, mu0: Array, beta: Array, key: Key
) -> State:
    """The state with a new plan for the next episode, Gram matrices factored anew; mu0 `[S]`, beta `[]`."""
    k = state.episodes + 1
    regressions = refactored(state.regressions)
    if config.estimate == "merged":
        lam = radii.ridge_weight(jnp.asarray(form.dim, mu0.dtype), hyper.bound)
        taken = config.orders if config.ellipsoids == "all" else 1
        around = jax.tree.map(lambda x: x[:, :taken], regressions)
        theta, violated = move_inside(merged(regressions, lam).theta, around, beta)
    else:
        theta, violated = regressions.theta[0, 0], state.violated
    inverse = regressions.inverse
    view = View(theta, inverse[0, 0], inverse[1, 0], beta)
    shadow = jnp.asarray(hyper.shadow, theta.dtype)
    plan = ORACLES[config.oracle](form, view, mu0, hyper.horizon, state.plan, shadow, key)
    # of scores that are not numbers an oracle takes the first, which says that nothing is uncertain
    sound = jnp.isfinite(beta) & jnp.isfinite(theta).all() & jnp.isfinite(inverse[:, 0]).all()
    certificate = jnp.where(sound, 4 * plan.uncertainty, jnp.nan)
    better = certificate <= state.best.certificate
    now = Best(certificate, theta, k)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), now, state.best)
    return state._replace(
        regressions=regressions,
        plan=plan,
        theta=theta,
        best=best,
        certificate=certificate,
        log_det=regressions.log_det[0, 0] + regressions.log_det[1, 0],
        next_plan=_next_plan(config, form, k),
        violated=violated,
        plans=state.plans + 1,
    )


def transitions(
    config: Config, env: Any, form: Form, state: State, hyper: Hyper, data: PyTree, numbers: Radius, u: Array
) -> VTRState:
    """The regressions after one episode of the plan on uniform numbers u `[H + 1]`, the start first."""
    snapshot, plan = Snapshot.of(state.regressions), state.plan

    def learn(regressions: VTRState, h: Array, pair: Array, after: Array) -> VTRState:
        V = powers(jnp.stack([plan.hat[h + 1], plan.value[h + 1]]), config.orders)
        return observe(form, regressions, snapshot, V, pair, after, numbers, config.weights)[0]

    choose = episodes.by_table(plan.policy)
    return episodes.run(env, choose, state.regressions, hyper.horizon, data, u, learn)


def certificate(state: State) -> Array:
    """float[], what planning with `state.best.theta` can lose for any reward of the class, 4 Vhat_1.

    As good as the oracle and the radius are: see the README.

    Equation: zhang2023hf [certificate of planning]
    """
    return state.best.certificate


def worst_reward(state: State, data: PyTree) -> Array:
    """float[H, S, A], the reward that the certificate of the current plan is attained at.

    It pays 1 in a set of states at one stage. What the certificate holds to be hardest; the reward with which
    a plan really loses most is that of `theory.exact.planning_error`.
    """
    return jnp.repeat(state.plan.reward[..., None], data.n_actions, -1)


def plan(state: State, hyper: Hyper, data: PyTree, rewards: Array) -> Array:
    """Policies int32[n, H, S] for rewards `[n, H, S, A]`, all in one call, planned without a bonus.

    The model is the estimate of the smallest certificate. The policies run by `table_policy`.

    Raises:
        UsageError: rewards of another shape or outside the class R, on which the certificate holds.
    """
    H, S = state.plan.policy.shape
    check_rewards(rewards, H, S, data.n_actions)
    form = form_of(data)
    return plan_on_kernel(form, form.kernel(state.best.theta), rewards, hyper.horizon)


def model(state: State, data: PyTree) -> Array:
    """The transition probabilities float[S, A, S] that `plan` plans with."""
    form = form_of(data)
    return form.table(form.kernel(state.best.theta))


def realised_radius(config: Config, state: State, hyper: Hyper, data: PyTree) -> Array:
    """rho, float[]: the true parameter lies in all 2M ellipsoids exactly where c_beta >= rho.

    The true parameter is that of `data`, so this is for simulations.
    """
    form = form_of(data)
    unit = hyper.replace(c_beta=1.0)
    numbers = radius(config, form, unit, state.episodes + 1)
    return radii.realised(state.regressions, parameter_of(data), numbers.beta)


def _due(config: Config, state: State, hyper: Hyper, k: Array) -> Array:
    if config.replan == "geometric":
        return k >= state.next_plan
    grown = state.regressions.log_det[0, 0] + state.regressions.log_det[1, 0] - state.log_det
    return (state.plans == 0) | (grown >= jnp.log(hyper.ratio))


def _next_plan(config: Config, form: Form, k: Array) -> Array:
    growth = 1 + jnp.minimum(0.2, 4 / form.dim) if config.growth is None else config.growth
    return jnp.maximum(k + 1, jnp.ceil(growth * k).astype(jnp.int32))


def _empty_plan(H: int, form: Form, dtype: jnp.dtype) -> Plan:
    S = form.n_states
    tables = jnp.zeros((H + 1, S), dtype)
    return Plan(jnp.zeros((H, S), jnp.int32), tables, tables, tables[:H], jnp.ones((), dtype))


def _warn_of_growth(growth: float, d: float) -> None:
    needed = d * np.log10(growth)
    if needed > 5:
        warnings.warn(
            f"Config.growth: {growth:g} is too large for d = {d:g} features: one plan covers about one"
            f" direction, so that of the order of 10^{needed:.0f} episodes are needed; use at most"
            f" {1 + 4 / d:.3g}, or"
            ' replan="determinant"',
            stacklevel=2,
        )
