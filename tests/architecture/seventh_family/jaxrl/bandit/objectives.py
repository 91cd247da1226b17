"""Equations of stochastic bandits.

Legend: `K` arms. Symbols: `mean` average reward of an arm, `n` its pulls, `t` all pulls so far.
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxrl.core.types import Array


def ucb_index(mean: Array, n: Array, t: Array, width: Array) -> Array:
    """float[K], upper confidence bounds from `mean` and `n` `[K]` after `t` `[]` pulls; untried arms first.

    Equation: auer2002finite [UCB1 index]
    """
    bonus = width * jnp.sqrt(2 * jnp.log(jnp.maximum(t, 1)) / jnp.maximum(n, 1))
    return jnp.where(n == 0, jnp.inf, mean + bonus)
