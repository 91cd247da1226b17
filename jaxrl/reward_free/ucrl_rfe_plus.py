"""UCRL-RFE+: UCRL-RFE with weighted regression and Bernstein bonuses for exploration (Zhang, Zhou, Gu;
2110.06394).

The regression of UCRL-RFE stays, for the pseudo-reward and for planning. The exploration plan (policy, V) =
PLAN reads a second regression, on v = V_{h+1} with weights 1 / nu, and a third one, on v^2, estimates the
variance:

    Vbar = [<phi_{v^2}, theta3>]_[0, H^2] - ([<phi_v, theta2>]_[0, H])^2
    E    = min{H^2, beta3 |phi_{v^2}|_{Gram3^-1}} + min{H^2, 2 H betacheck |phi_v|_{Gram2^-1}}
    nu   = max{H^2 / d, Vbar + E}

with estimates and Gram matrices of the start of the episode. `Hyper.c_beta` multiplies all four radii. Its
useful range is narrow: above it every value is at its ceiling, below it the certificate is false.

Legend: as in `ucrl_rfe.py`; regressions stand side by side in the order above, `[3, B, k]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.fields import Positive
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.reward_free import episodes, fields, radii, ucrl_rfe
from jaxrl.reward_free.features import Form, form_of, parameter_of
from jaxrl.reward_free.inner import SOLVERS, SolverName
from jaxrl.reward_free.optimism import plan_optimistically
from jaxrl.reward_free.planning import table_policy
from jaxrl.reward_free.regression import VTRState, rank_one, refactored, ridge


@dataclass(frozen=True)
class Config(fields.Config):
    """Static choices of UCRL-RFE+; values are in [0, H]."""

    inner: SolverName = "exact"
    """How the inner maximum is found, see `inner.py`. Paper: the l1 surrogate."""
    pin: bool = False
    """Whether the regressions are told that probabilities sum to 1."""

    @property
    def first(self) -> ucrl_rfe.Config:
        """The configuration of the regression that UCRL-RFE has, too."""
        return ucrl_rfe.Config(self.horizon, self.episodes, self.inner, "published", self.pin)


@struct.dataclass
class Hyper(ucrl_rfe.Hyper):
    """Hyper-parameters of UCRL-RFE+, each a leaf that can be swept."""

    c_beta: Positive = 0.003
    """Multiplier of the four radii, > 0. Belongs beside every certificate. Paper: 1."""


class Radii(NamedTuple):
    """The four radii, float[] each: of the first regression; of the exploration plan; in the error of the
    mean and in that of the second moment.
    """

    first: Array
    plan: Array
    mean: Array
    square: Array


def make(config: Config, env: Any) -> Algorithm:
    """UCRL-RFE+ on `env`, the simulator of linear mixtures; `data` is a mixture of its sizes.

    State and metrics are those of `ucrl_rfe.make`, with three regressions side by side.

    Raises:
        UsageError: a problem that is too large for `Config.inner`, or a mixture of other sizes.
    """

    def init(key: Key, hyper: Hyper, data: PyTree) -> ucrl_rfe.State:
        form = form_of(data)
        regression = ridge(form, jnp.asarray(hyper.bound, data.mu0.dtype) ** -2, (3,), pin=config.pin)
        return ucrl_rfe.start(config.first, form, regression, hyper, key)

    def step(state: ucrl_rfe.State, hyper: Hyper, data: PyTree) -> tuple[ucrl_rfe.State, dict[str, Array]]:
        form = form_of(data)

        def one(state: ucrl_rfe.State) -> ucrl_rfe.State:
            u = episodes.uniforms(state.key, state.episodes, config.horizon, hyper.horizon, data.mu0.dtype)
            return episode(config, env, form, state, hyper, data, u)

        state = episodes.several(config.episodes, one, state)
        state = state._replace(updates=state.updates + 1)
        return state, ucrl_rfe.metrics(state, radius(hyper, form).first)

    def act(state: ucrl_rfe.State, hyper: Hyper, greedy: bool) -> Policy:
        return table_policy(state.plan.policy)

    origin = Origin(__name__, config, episodes.observations(config.horizon, env), env.action_space, env)
    check = episodes.checked_mixture(env)
    check_hyper = episodes.checked_member(config.horizon)
    return Algorithm(init, step, act, check=check, origin=origin, check_hyper=check_hyper)


def radius(hyper: Hyper, form: Form) -> Radii:
    """c_beta times the radii of the theorem."""
    numbers = radii.rfe_plus(hyper.budget, hyper.horizon, form.dim, hyper.bound, hyper.delta)
    return Radii(*(hyper.c_beta * x for x in numbers))


def variance(
    form: Form, snapshot: VTRState, v: Array, pair: Array, horizon: Array, bounds: Radii
) -> tuple[Array, Array]:
    """Vbar and E at a pair int32[] for the value function v `[S]`, see the top of the file; float[] each.

    snapshot: the regressions on v and on v^2, leaves `[2, ...]`, at the start of the episode.

    Equation: zhang2021rfe [variance estimate]
    """
    block = form.block(pair)
    x, x2 = form.phi_at(v, pair), form.phi_at(v**2, pair)
    theta, inverse = snapshot.theta[:, block], snapshot.inverse[:, block]
    most = jnp.asarray(horizon, v.dtype) ** 2
    mean = jnp.clip(x @ theta[0], 0, horizon)
    second = jnp.clip(x2 @ theta[1], 0, most)
    far = jnp.minimum(bounds.square * jnp.sqrt(x2 @ inverse[1] @ x2), most)
    off = jnp.minimum(2 * horizon * bounds.mean * jnp.sqrt(x @ inverse[0] @ x), most)
    return second - mean**2, far + off


def weight(variance: Array, error: Array, horizon: Array, d: Array) -> Array:
    """1 / nu with nu = max{H^2 / d, Vbar + E}, float[].

    Equation: zhang2021rfe [variance weight]
    """
    return 1 / jnp.maximum(horizon**2 / d, variance + error)


def episode(
    config: Config, env: Any, form: Form, state: ucrl_rfe.State, hyper: Hyper, data: PyTree, u: Array
) -> ucrl_rfe.State:
    """One episode on uniform numbers u `[H + 1]`, as `ucrl_rfe.episode`."""
    state = jax.lax.cond(
        episodes.is_due(state.plans, state.regression.log_det[:2].sum(), state.log_det, hyper.ratio),
        lambda state: replanned(config, form, state, hyper, data.mu0),
        lambda state: state,
        state,
    )
    k, snapshot, dtype = state.episodes + 1, jax.tree.map(lambda x: x[1:], state.regression), data.mu0.dtype
    bounds = Radii(*(jnp.asarray(x, dtype) for x in radius(hyper, form)))

    def explore(state: ucrl_rfe.State) -> ucrl_rfe.State:
        def learn(regressions: VTRState, h: Array, pair: Array, after: Array) -> VTRState:
            f, v = ucrl_rfe.ranges(config.first, hyper)[h] * state.plan.sets[pair], state.plan.value[h + 1]
            targets = jnp.stack([f, v, v**2])
            nu = weight(*variance(form, snapshot, v, pair, hyper.horizon, bounds), hyper.horizon, form.dim)
            weights = jnp.ones(3, dtype).at[1].set(nu)
            return rank_one(
                regressions, form.block(pair), form.phi_at(targets, pair), targets[:, after], weights
            )

        choose = episodes.by_table(state.plan.policy)
        found = episodes.run(env, choose, state.regression, hyper.horizon, data, u, learn)
        return state._replace(regression=found, episodes=k)

    def stop(state: ucrl_rfe.State) -> ucrl_rfe.State:
        return state._replace(certified=k)

    return jax.lax.cond(state.certificate <= hyper.epsilon, stop, explore, state)


def replanned(config: Config, form: Form, state: ucrl_rfe.State, hyper: Hyper, mu0: Array) -> ucrl_rfe.State:
    """The state with a new plan, its Gram matrices factored anew; mu0 `[S]`."""
    regressions = refactored(state.regression)
    bounds = Radii(*(jnp.asarray(x, mu0.dtype) for x in radius(hyper, form)))
    largest = SOLVERS[config.inner](form, regressions.inverse[0])
    rewards = ucrl_rfe.pseudo_rewards(config.first, hyper, bounds.first, largest.norm)
    policy, value = plan_optimistically(
        form,
        regressions.theta[1],
        regressions.inverse[1],
        rewards.reshape(1, config.horizon, form.n_states, -1),
        bounds.plan,
        ucrl_rfe.ceiling(config.first, hyper).astype(mu0.dtype),
        hyper.horizon,
        jnp.asarray(hyper.shadow, mu0.dtype),
    )
    return state._replace(
        regression=regressions,
        plan=ucrl_rfe.Plan(policy[0], value[0], largest.sets),
        certificate=hyper.horizon * (mu0 @ value[0, 0]),
        log_det=regressions.log_det[:2].sum(),
        plans=state.plans + 1,
    )


def plan(config: Config, state: ucrl_rfe.State, hyper: Hyper, data: PyTree, rewards: Array) -> Array:
    """Policies int32[n, H, S] for rewards `[n, H, S, A]`, as `ucrl_rfe.plan` with the first regression."""
    return ucrl_rfe.plan(config.first, first(state), as_first(hyper, form_of(data)), data, rewards)


def model(state: ucrl_rfe.State, data: PyTree) -> Array:
    """The estimated transition probabilities float[S, A, S] of the first regression."""
    return ucrl_rfe.model(first(state), data)


def certificate(state: ucrl_rfe.State) -> Array:
    """float[], what planning can lose for any reward in [0, 1] per stage, as `ucrl_rfe.certificate`."""
    return ucrl_rfe.certificate(state)


def realised_radius(config: Config, state: ucrl_rfe.State, hyper: Hyper, data: PyTree) -> Array:
    """rho, float[]: theta* lies within all radii exactly where c_beta >= rho. For simulations."""
    unit = radius(hyper.replace(c_beta=1.0), form_of(data))
    each = jnp.stack([unit.first, jnp.minimum(unit.plan, unit.mean), unit.square])
    return radii.realised(refactored(state.regression), parameter_of(data), each)


def first(state: ucrl_rfe.State) -> ucrl_rfe.State:
    """The state with the first regression alone."""
    return state._replace(regression=jax.tree.map(lambda x: x[0], state.regression))


def as_first(hyper: Hyper, form: Form) -> ucrl_rfe.Hyper:
    """Hyper-parameters with which UCRL-RFE has the radius of the first regression."""
    unit = ucrl_rfe.radius(ucrl_rfe.Config(value_range="published"), hyper.replace(c_beta=1.0), form)
    return hyper.replace(c_beta=radius(hyper, form).first / unit)
