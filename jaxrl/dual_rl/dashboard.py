"""What to look at while a dual method learns: residuals, weights, and whether values still move."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array, Mean, PyTree

WINDOW = 1000
"""Updates between two measurements of how far the value function has moved."""

SETTLED = 0.1
"""Of the spread of the values: what a run may still move whose values have come to rest."""


def dashboard(
    y: Array, z: Array, weight: Array, mass: Array, clip: Array | float, cap: Array | float
) -> dict[str, Array]:
    """Signs of an unstable run, float[] each, of rows `[n]` with `mass` of sum 1.

    residual: mean of `y`; positive, below_2, below_4: share of rows on each branch of the chi2 losses;
    at_clip: share whose `z` has no gradient in an exponential loss (-inf in others); at_cap: share at the
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
    value: Callable[[PyTree], Array],
    mass: Array,
    params: PyTree,
    past: PyTree,
    updates: Array,
    rate: Array | float = jnp.inf,
) -> tuple[PyTree, dict[str, Mean]]:
    """How far the value function `value(params) -> [n]` moved in the last `WINDOW` updates.

    Counted once per window, after which `past` is `params`; `updates`, int32[], is the number done before.
    drift: mean distance over rows of `mass` `[n]`. unsettled: of the spread of the values, the larger of what
    they have moved and of what they may still have to, see `remaining`. rate: at which targets lose their
    error per update, tau (1 - gamma), or infinite without targets.
    """

    def look() -> tuple[PyTree, Array, Array]:
        here = value(params)
        moved = (mass * jnp.abs(here - value(past))).sum()
        mean = (mass * here).sum()
        spread = jnp.sqrt((mass * (here - mean) ** 2).sum())
        share = moved / jnp.maximum(spread, 1e-6)
        return params, moved, jnp.maximum(share, remaining(share, updates + 1, rate))

    due = updates % WINDOW == WINDOW - 1
    past, moved, left = jax.lax.cond(due, look, lambda: (past, jnp.zeros(()), jnp.zeros(())))
    count = due.astype(jnp.float32)
    return past, {"drift": Mean(moved, count), "unsettled": Mean(left, count)}


def remaining(share: Array, updates: Array, rate: Array | float) -> Array:
    """float[], what values that moved by `share` in the last window may have left to go, in the same unit.

    At worst all of it decays like e^(-rate t), gamma being the slowest contraction of a backup, and tau the
    step of the targets: `share` / (e^(rate WINDOW) - 1). But no more than e^(-rate updates) is left of the
    error at the start, so that noise in a long run is not taken for movement.
    """
    decay = jnp.maximum(jnp.expm1(rate * WINDOW), 1e-12)
    return jnp.minimum(share / decay, jnp.exp(-rate * updates))


def review(history: Mapping[str, np.ndarray]) -> str | None:
    """A sentence for the user of a run whose values have not come to rest, else None.

    history: of one member, name -> float32[L]. Says nothing of runs shorter than a window.
    """
    left = np.asarray(history.get("unsettled", np.zeros(0)))
    left = left[np.isfinite(left)]
    if left.size == 0 or left[-1] <= SETTLED:
        return None
    moved = np.asarray(history["drift"])
    return (
        f"not converged: values moved by {moved[np.isfinite(moved)][-1]:.3g} in the last {WINDOW} updates and"
        f" may have {100 * left[-1]:.0f} % of their spread to go; train longer, or with larger tau or smaller"
        " gamma"
    )
