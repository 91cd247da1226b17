"""RF-Express (menard2021fast): greedy in an upper bound on the error with a bonus of order 1 / n.

With empirical kernel p^, for h = H .. 1:

    W_h(s, a) = 15 H^2 beta(n) / n + (1 + 1/H) sum_x p^(x | s, a) min{H, max_b W_{h+1}(x, b)}
    beta(n) = log(3 S A H / delta) + S log(8 e (n + 1)),     W_h(s, a) = 15 H^2 beta(0) where n = 0

An episode is greedy in W, and W is made anew after it. With w = max_a W_1(s_1, a) the certificate is
2 (3 e sqrt(w) + w). `bonus_scale` multiplies the bonus: at 1 the certificate is proved and needs millions of
episodes on the smallest problems, at 1e-4 the method explores and certifies nothing.

Minimum and n = 0 are those of the released code (omardrwch/rl_fast_active_learning); without `clip` there is
no minimum. Counts per stage are the paper's, pooled ones an option of the code.

Legend: `S` states, `A` actions, `H` stages, `G` groups of stages (`counts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from jaxrl.core.fields import NonNegative, Positive, Size, check_fields
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free.tabular.counts import Pooling, frequencies, of_stage, visits
from jaxrl.reward_free.tabular.episodes import Env, explorer
from jaxrl.reward_free.tabular.fields import Confidence
from jaxrl.reward_free.tabular.planning import backward, expected


@dataclass(frozen=True)
class Config:
    """Static choices of RF-Express."""

    horizon: Size = 20
    """Largest number of stages of an episode, at least every member's `Hyper.horizon`."""
    counts: Pooling = "pooled"
    """Whether stages share their counts. Paper: "per stage"."""
    clip: bool = True
    """Whether values of the next stage are at most H. Paper: True."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of RF-Express."""

    horizon: Size = 20
    """Number of stages of an episode, H, at most `Config.horizon`."""
    delta: Confidence = 0.1
    """Probability that the certificate fails, delta, in (0, 1). Paper: 0.1."""
    bonus_scale: Positive = 1e-4
    """Factor of the bonus; certificates are proved for 1. Paper: 1."""
    epsilon: NonNegative = 0.0
    """Certificate at which exploration stops, in units of total reward; 0 for never."""


def make(config: Config, env: Env) -> Algorithm:
    """RF-Express on `env`; one update is one episode, `data` the parameters of `env`.

    Raises `UsageError` for a simulator of tables that change with the step.
    """

    def plan(counts: Array, hyper: Hyper, mu0: Array) -> tuple[Array, Array]:
        bonus = hyper.bonus_scale * bernstein_bonus(visits(counts), hyper.horizon, hyper.delta)
        index, value = error_bound(bonus, frequencies(counts), hyper.horizon, config.horizon, config.clip)
        return index, mu0 @ certificate(value)

    return explorer(__name__, config, env, config.counts, plan)


def bernstein_bonus(n: Array, horizon: Array, delta: Array) -> Array:
    """15 H^2 beta(n) / n `[G, S, A]`, and 15 H^2 beta(0) where n = 0; n `[G, S, A]`, H and delta [].

    Equation: menard2021fast [bonus]
    """
    S, A = n.shape[-2:]
    beta = jnp.log(3 * S * A * horizon / delta) + S * (jnp.log(8.0) + 1 + jnp.log1p(n))
    return 15 * horizon**2 * beta / jnp.maximum(n, 1)


def error_bound(bonus: Array, p: Array, horizon: Array, size: int, clip: bool) -> tuple[Array, Array]:
    """W `[H, S, A]` and its values of the first stage `[S]`; bonus `[G, S, A]`, kernel p `[G, S, A, S]` with
    rows of 0 where n = 0, H [].

    Equation: menard2021fast [error upper bound]
    """
    S, A = bonus.shape[-2:]

    def stage(h: Array, V: Array) -> Array:
        return of_stage(bonus, h) + (1 + 1 / horizon) * expected(p, h, V)

    index, _ = backward(size, horizon, S, A, stage, horizon if clip else jnp.inf)
    return index, index[0].max(-1)


def certificate(w: Array) -> Array:
    """2 (3 e sqrt(w) + w), the bound on the planning error; w `[...]`.

    Equation: menard2021fast [stopping rule]
    """
    return 2 * (3 * jnp.e * jnp.sqrt(w) + w)
