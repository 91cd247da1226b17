"""Diagnostics of dual methods while they learn: residuals, weights, and whether values still move."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core import spmd
from jaxrl.core.types import Array, Mean, PyTree

WINDOW = 1000
"""Updates between two measurements of how far the value function has moved."""

THIN = 0.7
"""Effective share of the rows below which policy weights select, so that they should be right."""
AGREED = 0.9
"""Correlation of the advantages of twin critics below which their errors are large; critics that agreed at
0.8 correlated at 0.1 with simulated advantages (`experiments/dual_rl/weights.py`)."""

SETTLED = 0.1
"""Largest share of the spread of the values that a run may still move and count as converged."""


def residuals(y: Array, weights: Array, axis: str | None = None) -> dict[str, Array]:
    """Mean and branches of residuals `y` `[n]` with `weights` `[n]` of sum 1, float[] each.

    residual: mean. positive, below_2, below_4: share of rows on each branch of the chi2 losses.
    axis: mesh axis over which the rows are spread.
    """
    return {
        "residual": spmd.mean((weights * y).sum(), axis),
        "positive": _share(y > 0, weights, axis),
        "below_2": _share(y < -2, weights, axis),
        "below_4": _share(y < -4, weights, axis),
    }


def clipping(z: Array, weights: Array, clip: Array | float, axis: str | None = None) -> dict[str, Array]:
    """Share of rows whose `z` `[n]` has no gradient in an exponential loss (-inf in other losses)."""
    return {"at_clip": _share(z >= clip, weights, axis)}


def cloning(
    weight: Array, weights: Array, cap: Array | float | None = None, axis: str | None = None
) -> dict[str, Array]:
    """Effective sample size of the policy weights `weight` `[n]` of rows with `weights` `[n]`, float[] each.

    ess: (E w)^2 / E w^2, a share of the rows. at_cap: share of rows at the largest weight `cap`, if there is
    one.
    """
    squares = spmd.mean((weights * weight**2).sum(), axis)
    mean = spmd.mean((weights * weight).sum(), axis)
    capped = {} if cap is None else {"at_cap": _share(weight >= cap, weights, axis)}
    return capped | {"ess": mean**2 / jnp.where(squares > 0, squares, 1.0)}


def agreement(advantages: Array, weights: Array, axis: str | None = None) -> dict[str, Array]:
    """Correlation over rows of the advantages `[2, n]` of twin critics, with `weights` `[n]` of sum 1.

    agreement: float[] in [-1, 1]. The critics learn from the same targets and differ in their initial
    parameters, so that what they disagree on is error; what they agree on may be error too. 0 where one of
    them is constant.
    """
    mean = spmd.mean((weights[None] * advantages).sum(1), axis)
    one, two = advantages - mean[:, None]
    both, first, second = (spmd.mean((weights * x).sum(), axis) for x in (one * two, one * one, two * two))
    scale = jnp.sqrt(first * second)
    return {"agreement": jnp.where(scale > 0, both / jnp.where(scale > 0, scale, 1.0), 0.0)}


def _share(condition: Array, weights: Array, axis: str | None) -> Array:
    return spmd.mean((weights * condition).sum(), axis)


def drift(
    value: Callable[[PyTree], Array],
    weights: Array,
    params: PyTree,
    past: PyTree,
    updates: Array,
    rate: Array | float = jnp.inf,
    axis: str | None = None,
) -> tuple[PyTree, dict[str, Mean]]:
    """Distance that the value function `value(params) -> [n]` moved in the last `WINDOW` updates.

    Measured once per window, after which `past` is `params`; `updates`, int32[], is the number done before.
    drift: mean distance over rows with `weights` `[n]`. unsettled: as a share of the spread of the values,
    the larger of what they have moved and of what they may still have to, see `remaining`. rate: at which
    targets lose their error per update, tau (1 - gamma), or infinite without targets. axis: mesh axis of the
    rows.
    """

    def look() -> tuple[PyTree, Array, Array]:
        here = value(params)
        moved = spmd.mean((weights * jnp.abs(here - value(past))).sum(), axis)
        mean = spmd.mean((weights * here).sum(), axis)
        spread = jnp.sqrt(spmd.mean((weights * (here - mean) ** 2).sum(), axis))
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
    """Sentences for the user of a run whose values move or whose weights follow errors, else None.

    history: of one member, name -> float32[L]. Says nothing of values in runs shorter than a window.
    """
    found = [text for text in (_moving(history), _disagreeing(history)) if text is not None]
    return "; ".join(found) or None


def _moving(history: Mapping[str, np.ndarray]) -> str | None:
    left = _last(history, "unsettled")
    if left is None or left <= SETTLED:
        return None
    return (
        f"not converged: values moved by {_last(history, 'drift'):.3g} in the last {WINDOW} updates and"
        f" may have {100 * left:.0f} % of their spread to go; train longer, or with larger tau or smaller"
        " gamma"
    )


def _disagreeing(history: Mapping[str, np.ndarray]) -> str | None:
    share, agreed = _last(history, "ess"), _last(history, "agreement")
    if share is None or agreed is None or share >= THIN or agreed >= AGREED:
        return None
    return (
        f"policy weights may follow errors: they leave an effective {100 * share:.0f} % of the rows, and the"
        f" advantages of the twin critics correlate at {agreed:.2f}; lower awr, or use weighting share"
    )


def _last(history: Mapping[str, np.ndarray], name: str) -> float | None:
    values = np.asarray(history.get(name, np.zeros(0)))
    values = values[np.isfinite(values)]
    return float(values[-1]) if values.size else None
