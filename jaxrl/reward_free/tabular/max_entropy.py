"""Exploration by maximum entropy: plan for the reward -log of how often a pair was seen, no certificate.

    r(s, a) = -log((n(s, a) + 1) / (N + S A)),     N = sum n(s, a)
    Q_h(s, a) = r(s, a) + sum_x p^(x | s, a) max_b Q_{h+1}(x, b)

with empirical kernel p^, uniform where n = 0. The idea is the game of tiapkin2023fast, an explorer against
a forecaster of the pairs that it visits, with counts as the forecaster. A strong control: where the realised
error is shown, this belongs beside it.

Legend: `S` states, `A` actions, `H` stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free.tabular.counts import kernel, visits
from jaxrl.reward_free.tabular.episodes import Env, explorer
from jaxrl.reward_free.tabular.planning import backward, expected


@dataclass(frozen=True)
class Config:
    """Static choices of maximum-entropy exploration."""

    horizon: Size = 20
    """Largest number of stages of an episode, at least every member's `Hyper.horizon`."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of maximum-entropy exploration."""

    horizon: Size = 20
    """Number of stages of an episode, H, at most `Config.horizon`."""


def make(config: Config, env: Env) -> Algorithm:
    """Maximum-entropy exploration of `env`; one update is one episode, `data` the parameters of `env`.

    Raises `UsageError` for a simulator of tables that change with the step.
    """

    def plan(counts: Array, hyper: Hyper, mu0: Array) -> tuple[Array, tuple[()]]:
        reward, p = surprise(visits(counts)[0]), kernel(counts)

        def stage(h: Array, V: Array) -> Array:
            return reward + expected(p, h, V)

        return backward(config.horizon, hyper.horizon, env.S, env.A, stage)[0], ()

    return explorer(__name__, config, env, "pooled", plan)


def surprise(n: Array) -> Array:
    """-log((n + 1) / (N + S A)), the reward of the explorer; n `[S, A]`."""
    return -jnp.log((n + 1) / (n.sum() + n.size))
