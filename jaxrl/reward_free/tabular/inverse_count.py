"""The 1/n explorer: optimistic values of the reward 1 / n(s, a), no certificate.

With empirical kernel p^, uniform where n = 0, for h = H .. 1:

    Q_h(s, a) = b_h(s, a) + sum_x p^(x | s, a) V_{h+1}(x),     V_h(s) = min{H, max_a Q_h(s, a)}
    b_h(s, a) = 1 / n(s, a),     H - h + 1 where n = 0

It is `UCBVIAgent(reward_free=True)` of rlberry-scool 0.7.3, but for one point: with pooled counts that
package refreshes the bonus only at the stage of a visit, so that other stages keep the bonus of an older
count. Here every stage has the present one. With counts per stage the two are equal.

Legend: `S` states, `A` actions, `H` stages, `G` groups of stages (`counts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free.tabular.counts import Pooling, kernel, of_stage, visits
from jaxrl.reward_free.tabular.episodes import Env, explorer
from jaxrl.reward_free.tabular.planning import backward, expected


@dataclass(frozen=True)
class Config:
    """Static choices of the 1/n explorer."""

    horizon: Size = 20
    """Largest number of stages of an episode, at least every member's `Hyper.horizon`."""
    counts: Pooling = "pooled"
    """Whether stages share their counts."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of the 1/n explorer."""

    horizon: Size = 20
    """Number of stages of an episode, H, at most `Config.horizon`."""


def make(config: Config, env: Env) -> Algorithm:
    """The 1/n explorer on `env`; one update is one episode, `data` the parameters of `env`.

    Raises `UsageError` for a simulator of tables that change with the step.
    """

    def plan(counts: Array, hyper: Hyper, mu0: Array) -> tuple[Array, tuple[()]]:
        return optimistic(visits(counts), kernel(counts), hyper.horizon, config.horizon), ()

    return explorer(__name__, config, env, config.counts, plan)


def optimistic(n: Array, p: Array, horizon: Array, size: int) -> Array:
    """Q `[H, S, A]` from counts n `[G, S, A]`, kernel p `[G, S, A, S]` and H []."""
    S, A = n.shape[-2:]

    def stage(h: Array, V: Array) -> Array:
        seen = of_stage(n, h)
        bonus = jnp.where(seen > 0, 1 / jnp.maximum(seen, 1), horizon - h)
        return bonus + expected(p, h, V)

    return backward(size, horizon, S, A, stage, horizon)[0]
