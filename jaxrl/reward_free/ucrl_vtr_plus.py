"""UCRL-VTR+: UCRL-VTR with weights from estimated variances (Zhou, Gu, Szepesvari; 2012.08507).

Two regressions stand side by side: on v = V_{h+1} with weights 1 / nu, with which plans are made, and on v^2
without weights, which estimates the variance in nu; both, and the radii, are those of UCRL-RFE+
(`ucrl_rfe_plus.py`). Values are in [0, H], the range of the paper, whatever the reward is. The bonus is so
large that `Hyper.c_beta` has a small default.

Legend: as in `reward_aware.py`; regressions `[2, B, k]`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxrl.core.fields import Positive
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free import reward_aware, ucrl_vtr
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.fields import Config
from jaxrl.reward_free.regression import VTRState, rank_one, ridge
from jaxrl.reward_free.reward_aware import Data, Optimism, Rule, State
from jaxrl.reward_free.ucrl_rfe_plus import radius, variance, weight

__all__ = ["Config", "Data", "Hyper", "State", "make"]


@struct.dataclass
class Hyper(ucrl_vtr.Hyper):
    """Hyper-parameters of UCRL-VTR+, each a leaf that can be swept."""

    c_beta: Positive = 0.003
    """Multiplier of all radii, > 0. Paper: 1."""


def make(config: Config, env: Any) -> Algorithm:
    """UCRL-VTR+ on `env`, the simulator of linear mixtures; `data` is a `Data` of its sizes.

    Metrics and errors are those of `reward_aware.learner`.
    """
    return reward_aware.learner(__name__, config, env, Rule(_start, _optimism, _learn))


def _start(form: Form, hyper: Hyper, dtype: Any) -> VTRState:
    return ridge(form, jnp.asarray(hyper.bound, dtype) ** -2, (2,))


def _optimism(form: Form, regressions: VTRState, hyper: Hyper, k: Array) -> Optimism:
    beta = radius(hyper, form).plan
    return Optimism(regressions.theta[0], regressions.inverse[0], beta, hyper.horizon)


def _learn(
    form: Form,
    regressions: VTRState,
    snapshot: VTRState,
    V: Array,
    pair: Array,
    after: Array,
    hyper: Hyper,
    k: Array,
) -> VTRState:
    found = variance(form, snapshot, V, pair, hyper.horizon, radius(hyper, form))
    targets = jnp.stack([V, V**2])
    weights = jnp.ones(2, V.dtype).at[0].set(weight(*found, hyper.horizon, form.dim))
    return rank_one(regressions, form.block(pair), form.phi_at(targets, pair), targets[:, after], weights)
