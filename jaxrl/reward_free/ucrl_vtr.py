"""UCRL-VTR: optimistic plans for a known reward on one unweighted regression (Ayoub, Jia, Szepesvari, Wang,
Yang; 2006.01107).

Here rewards sum to at most 1 along every trajectory, so that values are in [0, 1] and the radius is
sqrt(d log(3 (1 + K H B^2) / delta)) + 1 times `Hyper.c_beta`, that of UCRL-RFE in this range.

Legend: as in `reward_aware.py`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxrl.core.fields import Positive
from jaxrl.core.types import Algorithm, Array, struct
from jaxrl.reward_free import fields, radii, reward_aware
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.fields import Config
from jaxrl.reward_free.regression import VTRState, rank_one, ridge
from jaxrl.reward_free.reward_aware import Data, Optimism, Rule, State

__all__ = ["Config", "Data", "Hyper", "State", "make"]


@struct.dataclass
class Hyper(fields.Hyper):
    """Hyper-parameters of UCRL-VTR, each a leaf that can be swept."""

    budget: Positive = 3e5
    """The number of episodes K in the logarithm of the radius, >= 1."""


def make(config: Config, env: Any) -> Algorithm:
    """UCRL-VTR on `env`, the simulator of linear mixtures; `data` is a `Data` of its sizes.

    Metrics and errors are those of `reward_aware.learner`.
    """
    return reward_aware.learner(__name__, config, env, Rule(_start, _optimism, _learn))


def _start(form: Form, hyper: Hyper, dtype: Any) -> VTRState:
    return ridge(form, jnp.asarray(hyper.bound, dtype) ** -2)


def _optimism(form: Form, regressions: VTRState, hyper: Hyper, k: Array) -> Optimism:
    beta = radii.rfe_one(hyper.budget, hyper.horizon, form.dim, hyper.bound, hyper.delta)
    return Optimism(regressions.theta, regressions.inverse, hyper.c_beta * beta, jnp.ones(()))


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
    x = form.phi_at(V, pair)
    return rank_one(regressions, form.block(pair), x, V[after], jnp.ones((), x.dtype))
