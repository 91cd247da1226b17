"""What to look at while a dual method learns: residuals, weights, and whether values still move."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, Mean, PyTree

WINDOW = 1000
"""Updates between two measurements of how far the value function has moved."""


def dashboard(
    y: Array, z: Array, weight: Array, mass: Array, clip: Array | float, cap: Array | float
) -> dict[str, Array]:
    """Signs of an unstable run, float[] each, of rows `[n]` with `mass` of sum 1.

    residual: mean of `y`; positive, below_2, below_4: share of rows on each branch of the chi2 losses;
    at_clip: share whose `z` has no gradient in an exponential loss; at_cap: share at the
    largest policy weight; ess: effective sample size of `weight`, as a share of the rows.
    """

    def share(condition: Array) -> Array:
        return (mass * condition).sum()

    squares = (mass * weight**2).sum()
    return {
        "residual": (mass * y).sum(),
        "positive": share(y > 0),
        "below_2": share(y < -2),
        "below_4": share(y < -4),
        "at_clip": share(z >= clip),
        "at_cap": share(weight >= cap),
        "ess": (mass * weight).sum() ** 2 / jnp.where(squares > 0, squares, 1.0),
    }


def drift(
    value: Callable[[PyTree], Array], mass: Array, params: PyTree, past: PyTree, updates: Array
) -> tuple[PyTree, Mean]:
    """How far the value function `value(params) -> [n]` moved in the last `WINDOW` updates.

    Mean over rows of `mass` `[n]`. Counted once per window, after which `past` is `params`; `updates`,
    int32[], is the number done before. As long as this is not small beside the spread of the values, the
    run has not converged.
    """

    def look() -> tuple[PyTree, Array]:
        return params, (mass * jnp.abs(value(params) - value(past))).sum()

    due = updates % WINDOW == WINDOW - 1
    past, moved = jax.lax.cond(due, look, lambda: (past, jnp.zeros(())))
    return past, Mean(moved, due.astype(jnp.float32))
