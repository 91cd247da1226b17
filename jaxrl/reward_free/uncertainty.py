"""How far a planned value can be from the true one: the truncated uncertainty of a policy and a reward.

With V_h the value of a policy under an estimate theta and a reward r, for h = H .. 1 and zero after H:

    u_h(s)    = min{1, beta |phi_{V_{h+1}}(s, pi(s))| in the inverse tilde matrix}
    Vhat_h(s) = min{1, u_h(s) + 2 beta |phi_{Vhat_{h+1}}(s, pi(s))| in the inverse hat matrix
                       + <phi_{Vhat_{h+1}}(s, pi(s)), theta>}

Twice Vhat_1 bounds the error of one value, four times the largest Vhat_1 that of planning, for all rewards of
the class at once. Estimates are no kernels, so that inner products are clipped to [0, 1].

Legend: `H` largest horizon, `S` states, `A` actions, `P` pairs, `B` blocks of `k` features, `n` candidates
side by side. Rewards are `[H, S]`, what is paid at the policy's action. Stages count from 0.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, PyTree
from jaxrl.reward_free.features import Form


class View(NamedTuple):
    """What an oracle sees: theta `[B, k]`; inverses hat and tilde `[B, k, k]` of order 0; beta `[]`."""

    theta: Array
    hat: Array
    tilde: Array
    beta: Array


class Plan(NamedTuple):
    """A policy and a reward with large uncertainty, and the two value functions that are regressed on.

    policy: int32[H, S]. hat, value: float[H + 1, S], Vhat and V. reward: float[H, S]. uncertainty: float[],
    Vhat_1 at the initial distribution.
    """

    policy: Array
    hat: Array
    value: Array
    reward: Array
    uncertainty: Array


class Values(NamedTuple):
    """Tables of one stage for `n` candidates, `[n, S]`: V, Vhat, and the shadow sum R that breaks ties."""

    value: Array
    hat: Array
    shadow: Array


class Prepared(NamedTuple):
    """What every stage of a backward pass reads of a view, computed once.

    value, hat: what `form.prepared` made of theta with the tilde and with the hat inverse. kernel:
    `form.kernel(theta)`. beta: `[]`.
    """

    value: PyTree
    hat: PyTree
    kernel: Array
    beta: Array


def prepare(form: Form, view: View) -> Prepared:
    """The record of a view that backward passes read."""
    value, hat = form.prepared(view.theta, view.tilde), form.prepared(view.theta, view.hat)
    return Prepared(value, hat, form.kernel(view.theta), view.beta)


def start(targets: Array) -> Values:
    """The tables at the stage that pays: V is the target `[n, S]`, nothing is uncertain."""
    return Values(targets, jnp.zeros_like(targets), jnp.zeros_like(targets))


def candidates(form: Form, view: Prepared, after: Values) -> Values:
    """The tables of one stage earlier for every action, `[n, P]`, without reward.

    R_h = beta |phi_{V_{h+1}}| + E R_{h+1} is not truncated: where Vhat is 1 everywhere it still tells actions
    apart.

    Equation: zhang2023hf [truncated trajectory uncertainty]
    """
    value, norm = form.mean_and_norm(view.value, after.value)
    hat, slack = form.mean_and_norm(view.hat, after.hat)
    raw = view.beta * norm
    hat = jnp.minimum(raw, 1) + 2 * view.beta * slack + jnp.clip(hat, 0, 1)
    shadow = raw + form.mean(view.kernel, after.shadow)
    return Values(jnp.clip(value, 0, 1), jnp.minimum(hat, 1), shadow)


def greedy(form: Form, view: Prepared, after: Values, weight: Array) -> tuple[Values, Array]:
    """The tables one stage earlier under the action with the largest Vhat + weight R, and it, int32[n, S]."""
    found = candidates(form, view, after)
    by_action = jax.tree.map(lambda x: x.reshape(len(x), form.n_states, -1), found)
    action = first_best(by_action.hat + weight * by_action.shadow)
    return jax.tree.map(lambda x: jnp.take_along_axis(x, action[..., None], -1)[..., 0], by_action), action


def of_policy(form: Form, view: View, policy: Array, reward: Array, mu0: Array, horizon: Array) -> Plan:
    """The record of policy int32[H, S] and reward float[H, S] for the first `horizon` stages; mu0 `[S]`."""
    H, S = policy.shape
    prepared = prepare(form, view)
    zeros = jnp.zeros((H + 1, S), reward.dtype)

    def stage(i: Array, tables: tuple[Array, Array]) -> tuple[Array, Array]:
        hat, value = tables
        h = horizon - 1 - i
        after = Values(value[h + 1][None], hat[h + 1][None], jnp.zeros((1, S), value.dtype))
        found = candidates(form, prepared, after)
        pair = jnp.arange(S) * form.n_actions + policy[h]
        now = jnp.clip(reward[h] + found.value[0, pair], 0, 1)
        return hat.at[h].set(found.hat[0, pair]), value.at[h].set(now)

    hat, value = jax.lax.fori_loop(0, horizon, stage, (zeros, zeros))
    return Plan(policy, hat, value, reward, (mu0 * hat[0]).sum())


def first_best(score: Array) -> Array:
    """int32[...], the first index along the last axis of score `[..., n]` within rounding of the maximum.

    Rounding is 1e-9 in float64 and 1e-6 in float32.
    """
    near = 1e-9 if score.dtype == jnp.float64 else 1e-6
    return jnp.argmax(score >= score.max(-1, keepdims=True) - near, axis=-1).astype(jnp.int32)
