"""Weights from moments of higher order, for regressions on the powers V, V^2, V^4, ... of one target.

The regression of order m has the target V^(2^m) and the weight 1 / sigma_m^2. The variance of V^(2^m) is
bounded with the estimate of order m + 1, whose own variance is bounded with that of order m + 2, and so on;
the last is at most 1.

Two kinds of Gram matrices occur. Estimates and their errors use the snapshot from the start of the episode;
the term with gamma uses the matrix of the moment ("online"), before the observation is added to it.

Legend: `M` orders, `k` features of one block, `S` states; leading axes `[...]` are series side by side.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax.numpy as jnp

from jaxrl.core.types import Array
from jaxrl.reward_free.features import Form, root
from jaxrl.reward_free.regression import VTRState, rank_one

Weights = Literal["online", "snapshot", "none"]


class Snapshot(NamedTuple):
    """What the weights of an episode come from: theta `[..., M, B, k]` and inverse `[..., M, B, k, k]`."""

    theta: Array
    inverse: Array

    @classmethod
    def of(cls, state: VTRState) -> Snapshot:
        """The snapshot of regressions at the start of an episode."""
        return cls(state.theta, state.inverse)


def powers(V: Array, M: int) -> Array:
    """V^(2^m) for m = 0 .. M - 1, `[..., M, S]`; V `[..., S]`, clipped to [0, 1] first."""
    found = [jnp.clip(V, 0, 1)]
    for _ in range(M - 1):
        found.append(jnp.square(found[-1]))
    return jnp.stack(found, -2)


def variances(mean: Array, error: Array, online: Array, beta: Array, alpha: Array, gamma: Array) -> Array:
    """sigma_m^2 `[..., M]` of one observation.

    mean: <x_m, theta_m>; error: |x_m| in the inverse snapshot matrix; online: |x_m| in the inverse matrix of
    the moment; all `[..., M]`. beta, alpha, gamma: `[]`.

    Equation: zhang2023hf [high-order moment estimator]
    """
    first, second = jnp.clip(mean[..., :-1], 0, 1), jnp.clip(mean[..., 1:], 0, 1)
    slack = jnp.clip(2 * beta * error[..., :-1], 0, 1) + jnp.clip(beta * error[..., 1:], 0, 1)
    variance = second - jnp.square(first) + slack
    variance = jnp.concatenate([variance, jnp.ones_like(mean[..., :1])], -1)
    return jnp.maximum(jnp.maximum(gamma**2 * online, variance), alpha**2)


def observe(
    form: Form,
    state: VTRState,
    snapshot: Snapshot,
    V: Array,
    pair: Array,
    successor: Array,
    radius: tuple[Array, Array, Array],
    weights: Weights = "online",
) -> tuple[VTRState, Array]:
    """Regressions after one transition from `pair` to `successor` (int32[] each), and sigma^2 `[..., M]`.

    V: `[..., M, S]`, the targets of all orders (`powers`). radius: (beta, alpha, gamma), `[]` each. All
    variances are computed first, then all regressions are updated. weights: where the term with gamma has its
    matrix from; `none` is unweighted regression.
    """
    beta, alpha, gamma = radius
    x, block = form.phi_at(V, pair), form.block(pair)
    mean = (snapshot.theta[..., block, :] * x).sum(-1)
    if weights == "none":
        sigma2 = jnp.ones_like(mean)
    else:
        error = _norm(snapshot.inverse[..., block, :, :], x)
        online = _norm(state.inverse[..., block, :, :], x) if weights == "online" else error
        sigma2 = variances(mean, error, online, beta, alpha, gamma)
    return rank_one(state, block, x, V[..., successor], 1 / sigma2), sigma2


def _norm(inverse: Array, x: Array) -> Array:
    return root(((inverse * x[..., None, :]).sum(-1) * x).sum(-1))
