"""PLAN: backward induction with a bonus on an estimated linear mixture MDP (Zhang, Zhou, Gu; 2110.06394).

    Q_h = [ r_h + <phi_{V_{h+1}}, theta> + beta |phi_{V_{h+1}}|_{Gram^-1} ]_[0, ceiling]
    V_h = max_a Q_h,   pi_h = argmax_a Q_h

Where theta* is within beta of theta in the metric of the Gram matrix, V is at least the optimal value.

Legend: `H` largest horizon, `S` states, `A` actions, `P` pairs, `B` blocks of `k` features, `n` rewards side
by side. Stages count from 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.uncertainty import first_best


def plan_optimistically(
    form: Form,
    theta: Array,
    inverse: Array,
    rewards: Array,
    beta: Array,
    ceiling: Array,
    horizon: Array,
    shadow: Array,
) -> tuple[Array, Array]:
    """Policies int32[n, H, S] and values `[n, H + 1, S]` for rewards `[n, H, S, A]`.

    theta: `[B, k]`, inverse: `[B, k, k]` of the Gram matrix, beta, ceiling: `[]`. horizon: `[]`, the stages
    that count; beyond, policy and value are 0. shadow: `[]`, the weight of R_h = r_h + beta |phi_{V_{h+1}}| +
    E max_a R_{h+1}, without a ceiling, in the choice between actions: where the ceiling makes all of them
    equal, it still tells them apart. 0 leaves it out.

    Equation: zhang2021rfe [PLAN]
    """
    n, H, S, A = rewards.shape
    kernel, prepared = form.kernel(theta), form.prepared(theta, inverse)
    dtype = theta.dtype

    def stage(i: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        after, beyond, policy, values = carry
        h = horizon - 1 - i
        mean, norm = form.mean_and_norm(prepared, after)
        bonus = beta * norm
        paid = rewards[:, h].reshape(n, -1).astype(dtype)
        Q = jnp.clip(paid + mean + bonus, 0, ceiling).reshape(n, S, A)
        R = (paid + bonus + form.mean(kernel, beyond)).reshape(n, S, A)
        action = first_best(Q + shadow * R)
        V = Q.max(-1)
        return V, R.max(-1), policy.at[:, h].set(action), values.at[:, h].set(V)

    zeros = jnp.zeros((n, S), dtype)
    first = (zeros, zeros, jnp.zeros((n, H, S), jnp.int32), jnp.zeros((n, H + 1, S), dtype))
    return jax.lax.fori_loop(0, horizon, stage, first)[2:]
