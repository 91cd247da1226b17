"""The uniform policy, a control: every action is drawn uniformly, and the transitions are counted.

On a lock of n digits with A actions it reaches the goal about once in A^n episodes; on mixtures whose base
kernels reach every state it is as good as any explorer.

Legend: `S` states, `A` actions, `H` stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free.tabular.episodes import Env, explorer


@dataclass(frozen=True)
class Config:
    """Static choices of the uniform policy."""

    horizon: Size = 20
    """Largest number of stages of an episode, at least every member's `Hyper.horizon`."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of the uniform policy."""

    horizon: Size = 20
    """Number of stages of an episode, H, at most `Config.horizon`."""


def make(config: Config, env: Env) -> Algorithm:
    """The uniform policy on `env`; one update is one episode, `data` the parameters of `env`.

    Raises `UsageError` for a simulator of tables that change with the step.
    """

    def plan(counts: Array, hyper: Hyper, mu0: Array) -> tuple[Array, tuple[()]]:
        return jnp.zeros((config.horizon, env.S, env.A)), ()

    return explorer(__name__, config, env, "pooled", plan)
