"""What is certain about a drift, and what a grid shows of it.

A drift f belongs to mirror learning (kuba2022mirror) if, for every advantage A, f(r, A) >= 0, f(1, A) = 0 and
df/dr(1, A) = 0; then r A - f improves the policy from where it is. `certificate` measures these conditions
and what else tells a rule apart; `check_drift` refuses a rule that breaks one.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, PyTree
from jaxrl.meta.drift import FEATURES, f, factors
from jaxrl.meta.objective import Objective, Time, mask_of

RATIOS = np.exp(np.linspace(np.log(0.25), np.log(4.0), 97))
ADVANTAGES = np.linspace(-3.0, 3.0, 25)
PROGRESS = (0.0, 0.5, 0.975)
# 1 and its neighbours: a kink at 1 shows there, and not in a derivative at 1 itself
BESIDE = np.array([1 - 2.0**-22, 1.0, 1 + 2.0**-22])
EXACT = 1e-7  # of values, in float32
ROUNDED = 1e-5  # of slopes beside 1: rounding of |A|, and 2^-22 times the second derivative


class Grid(NamedTuple):
    """A drift on a grid of progress, ratio and advantage.

    progress float[P], ratio float[R], advantage float[A]; f, slope: float[P, R, A], the drift and
    d/dr (r A - f).
    """

    progress: np.ndarray
    ratio: np.ndarray
    advantage: np.ndarray
    f: np.ndarray
    slope: np.ndarray


class Certificate(NamedTuple):
    """What is known about a drift; everything but `certified` is measured on the grid of `grid`.

    least: the smallest f. at_one: largest |f| at r = 1, and slope_at_one: largest |df/dr| there and at the
    numbers beside 1, over advantages and progress. dead_zone: the largest distance from 1 up to which f is
    0 for all of them, at most 3. certified: a distance for which that is proved; 0 where nothing is: without
    a network or a closed form, with f_DPO, and for a rule that is not of `jaxrl.meta.drift`. rollback: the
    most negative slope of r A - f along the sign of A, in units of |A|: below 0 the rule pushes a ratio back
    that had moved with its advantage. used: weight of each feature, float[F], 0 for what the rule or its mask
    ignores, [0] without a network of `jaxrl.meta.drift`; time: the largest change of f over the lifetime.
    """

    least: float
    at_one: float
    slope_at_one: float
    dead_zone: float
    certified: float
    rollback: float
    used: np.ndarray
    time: float


@partial(jax.jit, static_argnames="objective")
def _values(
    objective: Objective, phi: PyTree, mask: Array, ratio: Array, advantage: Array, time: Array
) -> Array:
    """float[2, ...], f and df/dr."""

    def one(r: Array, A: Array, n: Array, N: Array) -> Array:
        return objective.apply(phi, r, jnp.log(r), A, Time(n, N, mask))

    both = jnp.vectorize(jax.value_and_grad(one))
    return jnp.stack(both(ratio, advantage, time[..., 0], time[..., 1]))


def grid(
    objective: Objective,
    phi: PyTree,
    *,
    horizon: float = 40.0,
    progress: tuple[float, ...] = PROGRESS,
    ratios: np.ndarray = RATIOS,
    advantages: np.ndarray = ADVANTAGES,
    mask: tuple[float, ...] | None = None,
) -> Grid:
    """A drift with parameters `phi` on a grid, with the time inputs of `mask`, or those of the rule."""
    p, r, a = np.meshgrid(np.asarray(progress), np.asarray(ratios), np.asarray(advantages), indexing="ij")
    time = np.stack([p * horizon, np.full_like(p, horizon)], axis=-1)
    live = jnp.array(mask_of(objective.inputs) if mask is None else mask)
    arrays = (jnp.asarray(x, jnp.float32) for x in (r, a, time))
    value, derivative = np.asarray(_values(objective, phi, live, *arrays), np.float64)
    return Grid(np.asarray(progress), np.asarray(ratios), np.asarray(advantages), value, a - derivative)


def certificate(
    objective: Objective, phi: PyTree, *, horizon: float = 40.0, mask: tuple[float, ...] | None = None
) -> Certificate:
    """The certificate of a drift; see `Certificate`."""
    found = grid(objective, phi, horizon=horizon, mask=mask)
    near = grid(objective, phi, horizon=horizon, mask=mask, ratios=BESIDE)
    values, slope = found.f, found.slope
    known = objective.apply is f
    live = mask_of(objective.inputs) if mask is None else mask
    largest = float(np.abs(found.advantage).max())
    certified = certified_radius(phi, largest, live, horizon) if known else 0.0
    distance = np.abs(found.ratio - 1)
    active = distance[(np.abs(values) > 0).any(axis=(0, 2))]
    moving = np.where(found.advantage > 0, found.ratio[:, None] > 1, found.ratio[:, None] < 1) & (
        found.advantage != 0
    )
    along = slope * np.sign(found.advantage) / np.maximum(np.abs(found.advantage), 1e-9)
    return Certificate(
        least=float(values.min()),
        at_one=float(np.abs(near.f[:, 1]).max()),
        slope_at_one=float(np.abs(near.advantage - near.slope).max()),
        dead_zone=max(certified, float(distance[distance < active.min(initial=np.inf)].max(initial=0.0))),
        certified=certified,
        rollback=float(along[:, moving].min()),
        used=feature_weights(phi, live) if known else np.zeros(0),
        time=float(np.ptp(values, axis=0).max()),
    )


def feature_weights(phi: PyTree, mask: tuple[float, ...]) -> np.ndarray:
    """float[F], how far a feature can move g; [0] without a network.

    It is the sum over units of |W1_ij w2_j|, times the factor in `mask` of the time input that multiplies the
    feature.
    """
    if "w2" not in phi:
        return np.zeros(0)
    weights = np.abs(np.asarray(phi["W1"], np.float64)) @ np.abs(np.asarray(phi["w2"], np.float64))
    live = np.abs([1.0, mask[0], mask[1]])[: weights.size // len(FEATURES)]
    return weights * np.repeat(live, len(FEATURES))


def certified_radius(phi: PyTree, largest: float, mask: tuple[float, ...], horizon: float = 40.0) -> float:
    """The largest delta below the clip with sum_j |w2_j| sum_i |W1_ij| x_i(delta) <= xi.

    x_i is the largest size of feature i for |r - 1| <= delta and |A| <= largest, at any progress, with the
    time inputs of `mask`; for a closed form the sum is sum_i |c_i| x_i(delta) over its terms and powers of
    n/N. The clip is the smallest one of a schedule: the logarithm of its factor is concave in n/N, so that
    this is at the start or at the end. 0 without a network or a closed form, and with f_DPO, which the bound
    does not cover.
    """
    if not {"w2", "coefficients"} & phi.keys() or float(phi["parts"].dpo):
        return 0.0
    parts, weights = phi["parts"], feature_weights(phi, mask)
    scales = np.array([1.0, 1.0, abs(np.log(horizon) / np.log(float(parts.reference)))])
    blocks = weights.size // len(FEATURES)

    def bound(delta: float) -> float:
        l = delta / (1 - delta)
        even = np.array([delta, delta**2, l, l**2])
        x = np.concatenate([even, largest * even])
        network = float(weights @ np.concatenate([x * s for s in scales[:blocks]])) if blocks else 0.0
        return network + (closed_bound(phi, x, mask) if "coefficients" in phi else 0.0)

    smallest = min(float(factors(phi, Time(p, 1.0, mask))[1]) for p in (0.0, 1.0))
    clips = float(parts.ppo) or "coefficients" in phi  # inside the clip f_PPO is 0
    low, high = 0.0, min(float(parts.clip) * smallest, 0.9) if clips else 0.9
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if bound(middle) <= float(parts.xi) else (low, middle)
    return low


def closed_bound(phi: PyTree, x: np.ndarray, mask: tuple[float, ...]) -> float:
    """The largest |h| of a closed form where the eight features are at most x, float[8], inside the clip."""
    coefficients = np.abs(np.asarray(phi["coefficients"], np.float64))
    powers = abs(mask[0]) ** np.arange(coefficients.shape[-1])
    bent = x[[4, 6]] / np.asarray(phi["scales"], np.float64)  # |tanh(z)| <= |z|
    return float(((coefficients @ powers)[:, :-1] @ np.concatenate([x, bent])).max())


def check_drift(objective: Objective, phi: PyTree, *, horizon: float = 40.0) -> Certificate:
    """The certificate, if the rule meets the conditions of mirror learning on the grid.

    Raises:
        UsageError: a condition fails; says which one, where and by how much.
    """
    found = certificate(objective, phi, horizon=horizon)
    name = objective.name or "the drift"
    if found.least < -EXACT:
        where = grid(objective, phi, horizon=horizon)
        p, r, a = np.unravel_index(where.f.argmin(), where.f.shape)
        raise UsageError(
            f"{name}: f must not be negative, but is {found.least:.3g} at r = {where.ratio[r]:.3g}, "
            f"A = {where.advantage[a]:.3g}, n/N = {where.progress[p]:.3g}; take the relu of it"
        )
    if found.at_one > EXACT:
        raise UsageError(
            f"{name}: f(1, A) must be 0, but reaches {found.at_one:.3g}; "
            "let every input vanish at r = 1, n/N too, which must multiply features"
        )
    if found.slope_at_one > ROUNDED and not found.certified:  # a narrow dead zone ends before `BESIDE`
        raise UsageError(
            f"{name}: df/dr must be 0 at r = 1, but reaches {found.slope_at_one:.3g}; "
            "subtract an offset xi > 0 inside the relu"
        )
    return found
