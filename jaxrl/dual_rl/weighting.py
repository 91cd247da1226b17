"""Policy weights of cloning by a target effective share, in place of a temperature per dataset.

    published   weights of the residual y of the method's own loss, at the temperature that `Hyper` gives
    share       weights of the lambda-return advantage along the stored episodes, at the temperature at which
                the batch has the effective share `Hyper.share`

The share is 1 / (1 + D) with D the chi2 divergence of the weighted rows from the data, so that it bounds the
step away from the data in a unit that does not depend on the scale of rewards: the bound in place of the
weight alpha of a divergence. Advantages of the critic say how one action differs from its neighbours, and
where these differences are errors a coherent selection by them leaves the data; lambda-returns are made of
rewards that were seen.

Legend: `n` rows in a batch, `H` rows of an episode that are summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import jax
import jax.numpy as jnp

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, Size
from jaxrl.core.types import Array, PyTree
from jaxrl.dual_rl.agent import Parts
from jaxrl.dual_rl.data import Ahead, Batch
from jaxrl.dual_rl.methods import Method

COLDEST = 32.0
"""Largest inverse temperature of `share_weight`, in units of 1 / std y."""
HALVINGS = 20
"""Bisections of `share_weight`, which find T std y to 32 / 2^20."""
EffectiveShare = Annotated[float, Range(0, 1, open_low=True)]
"""A leaf of a `Hyper`: in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Fields of the `Config` of forms whose policy is extracted by weights of the rows of the data."""

    weighting: Literal["published", "share"] = "published"
    """How rows are weighted in cloning: published, by the residual of the value loss at a given temperature;
    share, by the advantage along the stored episode at the temperature that leaves the effective share
    `Hyper.share` of a batch. Paper: published."""
    steps: Size = 16
    """Rows of an episode over which a lambda-return is summed, at least 1; read where `weighting` is share.
    One step of the value network per row and update is what it costs."""


def share_weight(
    y: Array, weights: Array, share: Array | float, *, linear: bool = False, axis: str | None = None
) -> Array:
    """`[n]`, policy weights of mean 1 whose effective share is `share`.

    The effective share of rows with `weights` `[n]` of sum 1 is (E w)^2 / E w^2 = 1 / (1 + D), where D is
    E (w - 1)^2, the chi2 divergence of weights of mean 1. With u = (y - E y) / std y they are up to a factor

        e^(z u)                      the largest E w y at their KL divergence: e^(T y) with T = z / std y
        (cos z + u sin z)_+, linear  the largest E w y at their chi2 divergence: (y - c)_+ with some c

    The share falls as z grows from 0, where it is 1, so that bisection finds z. Neither a shift of `y` `[n]`
    nor a positive factor changes the weights; for normal `y` the exponential ones have the share e^(-z^2). A
    share that no z below `COLDEST` (pi where linear) reaches gives the weights of that z.
    axis: mesh axis over which the rows are spread.
    """

    def average(w: Array) -> Array:
        return spmd.mean((weights * w).sum(), axis)

    mean = average(y)
    # in units of the largest, whose square neither vanishes nor overflows
    unit = spmd.largest(jnp.abs(y - mean).max(), axis)
    away = (y - mean) / jnp.maximum(unit, jnp.finfo(y.dtype).tiny)
    std = jnp.sqrt(average(away**2))
    # numbers that are equal but for rounding have no spread
    u = jnp.where(unit * std > 1e-6 * jnp.abs(mean), away / jnp.maximum(std, 1e-30), 0.0)
    largest = spmd.largest(u.max(), axis)

    def unscaled(z: Array) -> Array:
        return jnp.maximum(jnp.cos(z) + u * jnp.sin(z), 0.0) if linear else jnp.exp(z * (u - largest))

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        w = unscaled(middle)
        flat = average(w) ** 2 > share * average(w * w)
        return jnp.where(flat, middle, low), jnp.where(flat, high, middle)

    bounds = jnp.zeros_like(std), jnp.full_like(std, jnp.pi if linear else COLDEST)
    low, _ = jax.lax.fori_loop(0, HALVINGS, halve, bounds)
    w = unscaled(jnp.where(jnp.asarray(share) < 1, low, 0.0))
    return w / average(w)


def lambda_advantage(
    v: Array,
    next_v: Array,
    reward: Array,
    not_done: Array,
    inside: Array,
    gamma: Array | float,
    trace: Array | float,
) -> Array:
    """`[n]`, sum_k (gamma lambda)^k delta_(t + k) over the `H` rows of an episode that begin with row t.

    delta = r + gamma V(s') - V(s), so that `trace`, lambda, leads from one step to the return of `H` steps
    with V at its end; the sum ends where the episode does.
    v: `[n]`, V(s_t). next_v, reward, not_done, inside: `[n, H]`, V of the states that the rows lead to, their
    rewards, 0 where the MDP ended, 0 for rows of a later episode. The sum is that of
    `rollout.returns.gae`, cut after `H` rows.
    """
    before = jnp.concatenate([v[:, None], next_v[:, :-1]], 1)
    delta = reward + gamma * not_done * next_v - before
    decay = (gamma * trace) ** jnp.arange(reward.shape[1])
    return (inside * decay[None] * delta).sum(1)


def episode_advantage(parts: Parts, v: PyTree, batch: Batch, ahead: Ahead, hyper: PyTree) -> Array:
    """`[n]`, lambda-return advantages of the rows of `batch` by the value network with parameters `v`.

    ahead: the rows that follow. hyper: its `gamma`, `trace` and `reward_scale` are read.
    """
    return lambda_advantage(
        parts.nets.v.apply(v, batch.x),
        parts.nets.v.apply(v, ahead.next_x),
        hyper.reward_scale * ahead.reward,
        ahead.not_done,
        ahead.inside,
        hyper.gamma,
        hyper.trace,
    )


def is_linear(row: Method, extraction: str | None = None) -> bool:
    """Whether weights of a given share are linear in the advantage, as the ratio of chi2, or exponential.

    extraction: of the configuration, None for that of the row.
    Raises `UsageError` for dual weights of another divergence.
    """
    if (extraction or row.extraction) == "awr" or row.divergence in ("kl", "kl_n"):
        return False
    if row.divergence != "chi2":
        raise UsageError(f"Config.weighting: share has no dual weights of {row.name}; use extraction awr")
    return True
