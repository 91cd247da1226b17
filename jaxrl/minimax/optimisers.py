"""Optimistic steps: the move of the last update is partly taken back.

    position <- position + 2 u_t - u_(t-1),    u_0 = 0

is what the published `OAdam` does with u_t = lr mhat / (sqrt(vhat) + eps). `optax.optimistic_adam` is another
method: its first step uses u_1 once, and it defaults to Nesterov momentum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.types import PyTree


class OptimismState(NamedTuple):
    """State of `scale_by_optimism`; previous: u_(t-1), shaped like the parameters."""

    previous: Any


def scale_by_optimism() -> optax.GradientTransformation:
    """2 u_t - u_(t-1) with u_0 = 0: optimistic gradient descent-ascent, by itself."""

    def init(params: PyTree) -> OptimismState:
        return OptimismState(jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: OptimismState, params: PyTree = None) -> tuple[PyTree, OptimismState]:
        ahead = jax.tree.map(lambda u, before: 2 * u - before, updates, state.previous)
        return ahead, OptimismState(updates)

    return optax.GradientTransformation(init, update)


def scale_by_oadam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """Adam, then optimism: the recursion of the released AGMM and DeepGMM code for a constant rate.

    Equation: daskalakis2018training [OAdam, released]
    """
    return optax.chain(optax.scale_by_adam(b1, b2, eps), scale_by_optimism())
