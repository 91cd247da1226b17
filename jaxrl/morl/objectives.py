"""Equations of C-MORL: the extension problem, its barrier and its multipliers.

    maximise_pi  G_l^pi    subject to    G_j^pi >= d_j   for all j != l

Legend: `B` samples of a minibatch, `m` objectives, `n` policies. Symbols: `G` returns, discounted; `l` the
objective that is extended; `d` thresholds; `z` reference point; `c` spread of each objective in the archive;
`t` sharpness of the barrier; `rho = pi / pi_old`; `A` advantages on the scale of the rewards.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from jaxrl.core.types import Array


class Multipliers(NamedTuple):
    """State of the controller of Lagrange multipliers, float[m] each.

    value: multipliers, >= 0; total: sum of the violations so far, never below 0; before: last violation.
    """

    value: Array
    total: Array
    before: Array


def paper_thresholds(returns: Array, beta: Array) -> Array:
    """Thresholds d = beta G, float[m], of the returns `[m]` of the policy that is extended.

    For G_j < 0 and beta < 1 the threshold lies above G_j, so that the problem starts without a feasible
    point. Equation: liu2025cmorl [return constraint]
    """
    return beta * returns


def shifted_thresholds(returns: Array, reference: Array, beta: Array) -> Array:
    """Thresholds d = z + beta (G - z), float[m], of returns and reference point `[m]`.

    Feasible at the policy it starts from, because members of the archive have G >= z.
    Equation: liu2025cmorl [return constraint from the reference point]
    """
    return reference + beta * (returns - reference)


def return_estimate(
    ratio: Array, advantages: Array, returns: Array, length: Array, weights: Array | None = None
) -> Array:
    """G_j + H mean[(rho - 1) (A_j - mean A_j)], float[m]: first-order estimate of the returns of a policy.

    ratio: `[B]`; advantages: `[B, m]` of the old policy; returns: `[m]` of the old policy; length: `[]`, H =
    E[sum_t gamma^t]; weights: `[B]` of the samples, adding up to 1 (default: equal). With samples of the
    discounted visits its gradient at rho = 1 is that of the returns.
    Equation: liu2025cmorl [return estimate]
    """
    weights = jnp.full(len(ratio), 1 / len(ratio)) if weights is None else weights
    centred = advantages - (weights @ advantages)[None]
    return returns + length * (weights * (ratio - 1)) @ centred


def normalised_slack(estimate: Array, thresholds: Array, scale: Array) -> Array:
    """Slack s = (G - d) / c, float[m], of estimate, thresholds and scale `[m]`.

    Equation: liu2025cmorl [normalised slack]
    """
    return (estimate - thresholds) / scale


def log_barrier(slack: Array, t: Array) -> Array:
    """Barrier log(s) / t, continued from s = 1 / t^2 downwards by its tangent, float[...], of slack `[...]`.

        psi_t(s) = log(s) / t                       s >= 1 / t^2
                 = t s - (2 log t) / t - 1 / t      otherwise

    Value and slope agree where they meet, so that infeasible minibatches have a gradient, too.
    Equation: liu2025cmorl [log barrier]
    """
    near = slack >= 1 / t**2
    inside = jnp.log(jnp.where(near, slack, 1.0)) / t
    return jnp.where(near, inside, t * slack - 2 * jnp.log(t) / t - 1 / t)


def barrier_objective(estimate: Array, thresholds: Array, scale: Array, others: Array, t: Array) -> Array:
    """The sum over j != l of psi_t(s_j), float[], of estimate, thresholds and scale `[m]`.

    others: `[m]`, 1 for constrained objectives and 0 for the extended one.
    Equation: liu2025cmorl [interior-point objective]
    """
    return (others * log_barrier(normalised_slack(estimate, thresholds, scale), t)).sum()


def lagrangian_weights(extended: Array, multipliers: Array, scale: Array) -> Array:
    """(e_l + sum_{j != l} lambda_j e_j) / c, float[m]: preference of an actor that ascends the Lagrangian.

    extended: `[m]`, e_l; multipliers, scale: `[m]`. Equation: stooke2020pid [Lagrangian]
    """
    return (extended + (1 - extended) * multipliers) / scale


def multiplier_update(
    multipliers: Multipliers,
    returns: Array,
    thresholds: Array,
    scale: Array,
    gains: tuple[Array, Array, Array],
) -> Multipliers:
    """New multipliers max(0, K_P v + K_I sum v + K_D (v - v before)) of the violation v = (d - G) / c.

    The sum never falls below 0. returns, thresholds, scale: `[m]`; gains: `(K_P, K_I, K_D)`. With
    K_P = K_D = 0 it is the projected ascent lambda <- max(0, lambda + K_I v).
    Equation: stooke2020pid [PID control]
    """
    violation = (thresholds - returns) / scale
    total = jnp.maximum(0.0, multipliers.total + violation)
    proportional, integral, derivative = gains
    value = proportional * violation + integral * total + derivative * (violation - multipliers.before)
    return Multipliers(jnp.maximum(0.0, value), total, violation)


def feasible(returns: Array, thresholds: Array, others: Array) -> Array:
    """bool[], whether G_j >= d_j for every constrained objective; returns, thresholds, others: `[m]`.

    Rounding of float32 is allowed for: 1e-5 of the size of the threshold.
    """
    slack = returns - thresholds + 1e-5 * jnp.maximum(1.0, jnp.abs(thresholds))
    return jnp.all((slack >= 0) | (others == 0))


def assigned(returns: Array, valid: Array, w: Array) -> Array:
    """Index of the policy that serves a preference, argmax_x w . G_x, int32[]; of equal utilities the first.

    w: `[m]`; returns: `[n, m]`; valid: bool`[n]`. Equation: liu2025cmorl [policy assignment]
    """
    return jnp.argmax(jnp.where(valid, jnp.where(valid[:, None], returns, 0.0) @ w, -jnp.inf)).astype(
        jnp.int32
    )
