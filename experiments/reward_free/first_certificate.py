"""Learners with their ablations, and how many episodes they need to their first certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import hf, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.run.sweep import Member, sweep

PER_UPDATE = 100  # episodes; exploration stops inside an update


class Method(NamedTuple):
    """A learner and what of it differs from its defaults.

    module: `hf` or `ucrl_rfe`. c_beta: the multiplier of its radius. config, hyper: fields of `Config` and of
    `Hyper`.
    """

    module: Any
    c_beta: float
    config: Mapping[str, Any] = {}
    hyper: Mapping[str, Any] = {}


METHODS = {
    "HF-UCRL-RFE++": Method(hf, 0.2),
    "HF, alpha = 1": Method(hf, 0.2, hyper={"alpha": 1.0}),
    "HF, no weights": Method(hf, 0.2, config={"weights": "none"}),
    "UCRL-RFE, range 1": Method(ucrl_rfe, 0.2, config={"value_range": "one"}),
    "UCRL-RFE, published range": Method(ucrl_rfe, 0.02, config={"value_range": "published"}),
}
"""The theorem's weights, the weights with the lower bound that does not depend on H, none; both ranges."""


class Certified(NamedTuple):
    """Measures of one member, of which `episodes` is NaN where nothing was certified.

    episodes: the first certified one. scaled: the same over beta^2 of that episode. certificate: the last
    one. plans: how many were made. rho: the smallest c_beta that covers the run.
    """

    episodes: float
    scaled: float
    certificate: float
    plans: float
    rho: float


def explore(
    method: Method,
    mixture: PyTree,
    hypers: Sequence[Mapping[str, Any]],
    *,
    episodes: int,
    config: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Member]:
    """Members of one program by `hypers`, fields of `Hyper` with a horizon each, then seed.

    episodes: the largest number, rounded up to a multiple of 100. config: more fields of `Config`. options:
    as `sweep`, `seeds` among them.
    """
    env, largest = LinearMixture.of(mixture), max(int(each["horizon"]) for each in hypers)
    module, bound = method.module, float(np.linalg.norm(np.asarray(mixture.theta, np.float64)))
    static = module.Config(largest, PER_UPDATE, **method.config, **(config or {}))
    own = {"bound": bound, "c_beta": method.c_beta, **method.hyper}
    return sweep(
        lambda static: module.make(static, env),
        [(static, module.Hyper(**own | dict(each))) for each in hypers],
        data=mixture,
        updates=-(-episodes // PER_UPDATE),
        env_steps_per_update=PER_UPDATE * largest,
        **options,
    )


def certified(method: Method, member: Member, mixture: PyTree) -> Certified:
    """What one member of `explore` came to."""
    module, state = method.module, member.state
    found = float(state.certified) if int(state.certified) > 0 else np.nan
    if module is hf:
        k = jnp.maximum(state.certified, 1)
        beta = hf.radius(member.static, form_of(mixture), member.hyper, k).beta
    else:
        beta = ucrl_rfe.radius(member.static, member.hyper, form_of(mixture))
    return Certified(
        found,
        found / float(beta) ** 2,
        float(module.certificate(state)),
        float(state.plans),
        float(module.realised_radius(member.static, state, member.hyper, mixture)),
    )


def columns(rows: Sequence[Certified], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The measures of members as arrays of a shape, by name."""
    return {name: np.array([getattr(row, name) for row in rows]).reshape(shape) for name in Certified._fields}
