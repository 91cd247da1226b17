"""HF-UCRL-VTR+: optimistic plans for a known reward with weights from moments of higher order (Zhou, Gu;
2205.11507).

    Q_h = [ r_h + <phi_{V_{h+1}}, theta_0> + beta_k |phi_{V_{h+1}}|_{Gram_0^-1} ]_[0, 1]

One series of M regressions, on V, V^2, V^4, ..., with the weights, alpha, gamma and beta_k of HF-UCRL-RFE++
(`moments.py`, `radii.py`). Its listing was not available; this is the reward-free algorithm with one series.

Legend: as in `reward_aware.py`; regressions `[M, B, k]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxrl.core.fields import Size
from jaxrl.core.types import Algorithm, Array
from jaxrl.reward_free import fields, radii, reward_aware
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.fields import Hyper
from jaxrl.reward_free.moments import Snapshot, observe, powers
from jaxrl.reward_free.regression import VTRState, ridge
from jaxrl.reward_free.reward_aware import Data, Optimism, Rule, State

__all__ = ["Config", "Data", "Hyper", "State", "make"]


@dataclass(frozen=True)
class Config(fields.Config):
    """Static choices of HF-UCRL-VTR+."""

    orders: Size = 4
    """Number M of orders of the moment weights. Paper: ceil(log2(7 K H))."""
    beta: radii.BetaMode = "plain"
    """The radius, see `radii.py`. Paper: "theory"."""


def make(config: Config, env: Any) -> Algorithm:
    """HF-UCRL-VTR+ on `env`, the simulator of linear mixtures; `data` is a `Data` of its sizes.

    Metrics and errors are those of `reward_aware.learner`.
    """

    def numbers(form: Form, hyper: Hyper, k: Array) -> tuple[Array, Array, Array]:
        H, d = hyper.horizon, form.dim
        alpha, gamma = 1 / jnp.sqrt(H), jnp.power(jnp.asarray(d, float), -0.25)
        beta = radii.hf_radius(config.beta, hyper.c_beta, k, H, d, hyper.bound, hyper.delta, alpha, gamma)
        return beta, alpha, gamma

    def start(form: Form, hyper: Hyper, dtype: Any) -> VTRState:
        lam = radii.ridge_weight(jnp.asarray(form.dim, dtype), hyper.bound)
        return ridge(form, lam, (config.orders,))

    def optimism(form: Form, regressions: VTRState, hyper: Hyper, k: Array) -> Optimism:
        return Optimism(
            regressions.theta[0], regressions.inverse[0], numbers(form, hyper, k)[0], jnp.ones(())
        )

    def learn(
        form: Form,
        regressions: VTRState,
        snapshot: VTRState,
        V: Array,
        pair: Array,
        after: Array,
        hyper: Hyper,
        k: Array,
    ) -> VTRState:
        radius = tuple(jnp.asarray(x, V.dtype) for x in numbers(form, hyper, k))
        targets = powers(V, config.orders)
        return observe(form, regressions, Snapshot.of(snapshot), targets, pair, after, radius)[0]

    return reward_aware.learner(__name__, config, env, Rule(start, optimism, learn))
