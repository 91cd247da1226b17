"""RF-UCRL (kaufmann2021adaptive): greedy in an upper bound on the error of the estimated model's values.

With sigma_j = sum_{i < j} gamma^i and empirical kernel p^, uniform where n = 0, for h = H .. 1:

paper      E_h(s, a) = min{ g, g sqrt(2 beta(n) / n) + gamma sum_x p^(x | s, a) max_b E_{h+1}(x, b) },
           g = gamma sigma_{H-h}
official   E_h(s, a) = gamma sigma_{H-h+1} sqrt(beta(n) / max(n, 1)) + gamma sum_x p^(x | s, a) F_{h+1}(x),
           F_h(s) = max_a E_h(s, a), with `clip` at most 2 sigma_{H-h+1}

    beta(n) = log(2 S A H / delta) + (S - 1) log(e (1 + n / (S - 1)))

An episode is greedy in E, and E is made anew after it. The certificate is 2 max_a E_1(s_1, a), averaged over
the distribution of s_1; planning on p^ without bonus then loses at most that for every reward in [0, 1] per
stage, with probability 1 - delta, for `variant="paper"`, counts per stage and `bonus_scale` 1.

`official` is the released code (omardrwch/reward-free-ucrl), whose counts are pooled.

Legend: `S` states, `A` actions, `H` stages, `G` groups of stages (`counts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp

from jaxrl.core.fields import NonNegative, Positive, Share, Size, check_fields
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free.tabular.counts import Pooling, kernel, of_stage, visits
from jaxrl.reward_free.tabular.episodes import Env, explorer
from jaxrl.reward_free.tabular.fields import Confidence
from jaxrl.reward_free.tabular.planning import backward, expected

Variant = Literal["paper", "official"]


@dataclass(frozen=True)
class Config:
    """Static choices of RF-UCRL."""

    horizon: Size = 20
    """Largest number of stages of an episode, at least every member's `Hyper.horizon`."""
    variant: Variant = "official"
    """Whether the index is that of the paper or that of the released code."""
    counts: Pooling = "pooled"
    """Whether stages share their counts. Paper: "per stage"; released code: "pooled"."""
    clip: bool = False
    """Whether values of `variant="official"` are at most 2 sigma; the paper's index has its own minimum.
    Released code: False on the double chain."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of RF-UCRL."""

    horizon: Size = 20
    """Number of stages of an episode, H, at most `Config.horizon`."""
    delta: Confidence = 0.1
    """Probability that the certificate fails, delta, in (0, 1). Paper: 0.1."""
    gamma: Share = 1.0
    """Discount per stage, in [0, 1]. Released code: 0.99 on the double chain."""
    bonus_scale: Positive = 1.0
    """Factor of the bonus; certificates are proved for 1. Paper: 1."""
    epsilon: NonNegative = 0.0
    """Certificate at which exploration stops, in units of total reward; 0 for never."""


def make(config: Config, env: Env) -> Algorithm:
    """RF-UCRL on `env`; one update is one episode, `data` the parameters of `env`.

    Raises `UsageError` for a simulator of tables that change with the step.
    """

    def plan(counts: Array, hyper: Hyper, mu0: Array) -> tuple[Array, Array]:
        n = visits(counts)
        bonus = hyper.bonus_scale * width(n, hyper.horizon, hyper.delta, config.variant)
        index, value = error_bound(
            bonus, kernel(counts), hyper.horizon, hyper.gamma, config.horizon, config.variant, config.clip
        )
        return index, 2 * mu0 @ value

    return explorer(__name__, config, env, config.counts, plan)


def width(n: Array, horizon: Array, delta: Array, variant: Variant) -> Array:
    """sqrt(2 beta(n) / n) of the paper, sqrt(beta(n) / max(n, 1)) of the code; n `[G, S, A]`, H and delta [].

    The paper's is infinite where n = 0.

    Equation: kaufmann2021adaptive [confidence width]
    """
    S, A = n.shape[-2:]
    other = max(S - 1, 1)
    beta = jnp.log(2 * S * A * horizon / delta) + (S - 1) * (1 + jnp.log1p(n / other))
    if variant == "official":
        return jnp.sqrt(beta / jnp.maximum(n, 1))
    return jnp.sqrt(2 * beta / n)


def error_bound(
    bonus: Array, p: Array, horizon: Array, gamma: Array, size: int, variant: Variant, clip: bool
) -> tuple[Array, Array]:
    """E `[H, S, A]` and max_a E_1 `[S]` from bonus `[G, S, A]`, kernel p `[G, S, A, S]`, H and gamma [].

    Equation: kaufmann2021adaptive [error upper bound]
    """
    S, A = bonus.shape[-2:]
    sigma = jnp.cumsum(gamma ** jnp.arange(size, dtype=p.dtype))  # sigma_1 .. sigma_size

    def official(h: Array, V: Array) -> Array:
        return gamma * sigma[horizon - h - 1] * of_stage(bonus, h) + gamma * expected(p, h, V)

    def paper(h: Array, V: Array) -> Array:
        left = horizon - h - 1
        g = gamma * jnp.where(left > 0, sigma[left - 1], 0)
        own = jnp.where(g > 0, g * of_stage(bonus, h), 0)  # 0 times an infinite width is 0 at the last stage
        return jnp.minimum(g, own + gamma * expected(p, h, V))

    if variant == "paper":
        return backward(size, horizon, S, A, paper)
    stages = horizon - jnp.arange(size)
    cap = 2 * sigma[jnp.maximum(stages - 1, 0)] if clip else jnp.inf
    return backward(size, horizon, S, A, official, cap)
