"""Prediction of PGMORL (Xu et al. 2020): how returns change with the preference that a policy is trained for.

    f(x) = A (e^{a (x - b)} - 1) / (e^{a (x - b)} + 1) + c  =  A tanh(a (x - b) / 2) + c

is fitted to pairs of the weight of an objective and the change of its return, by weighted least squares with
the loss soft-L1, 2 s^2 (sqrt(1 + (r / s)^2) - 1) / 2 with s = 20, within bounds of (A, a, b, c).

Legend: `H` records, `m` objectives.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl.core.linear import solve_positive
from jaxrl.core.types import Array

SCALE = 20.0  # s
LOW = (0.0, 0.1, -5.0, -500.0)
HIGH = (500.0, 20.0, 5.0, 500.0)
SIGMA = 0.03  # width of the sample weights in relative distance
FEWEST = 4  # distinct weights that a fit wants
_STEPS = 60
_STEEPNESS = (0.5, 2.0, 5.0, 10.0, 20.0)  # a of the starts of a fit


def curve(theta: Array, x: Array) -> Array:
    """f(x) of the parameters (A, a, b, c), float like `x`.

    Equation: xu2020pgmorl [hyperbolic model]
    """
    A, a, b, c = theta
    return A * jnp.tanh(a * (x - b) / 2) + c


def soft_l1(residual: Array) -> Array:
    """Loss of residuals `[...]`, half of scipy's `soft_l1` times s^2, float`[...]`."""
    return SCALE**2 * (jnp.sqrt(1 + (residual / SCALE) ** 2) - 1)


def fit(x: Array, y: Array, weight: Array) -> Array:
    """Parameters float[4] that minimise sum soft_l1(weight (f(x) - y)), within the bounds; x, y, weight: [H].

    Levenberg's damped Gauss-Newton steps, cut at the bounds and taken where they improve, from the best of
    (1, 1, 1, 1) and a grid of (a, b), each with the A and c of its linear least squares: from one start alone
    curves of large amplitude end as constants. A is at most the range of `y` where `weight` > 0, between 1
    and 500.
    """
    used = weight > 0
    high_y, low_y = jnp.where(used, y, -jnp.inf).max(), jnp.where(used, y, jnp.inf).min()
    spread = jnp.where(used.any(), jnp.clip(high_y - low_y, 1.0, 500.0), 1.0)
    low, high = jnp.array(LOW), jnp.array(HIGH).at[0].set(spread)

    def residuals(theta: Array) -> Array:
        return weight * (curve(theta, x) - y)

    def cost(theta: Array) -> Array:
        return soft_l1(residuals(theta)).sum()

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        theta, damping = carry
        r, J = residuals(theta), jax.jacfwd(residuals)(theta)
        bend = 1 / jnp.sqrt(1 + (r / SCALE) ** 2)  # slope of the loss by that of r^2 / 2
        gradient, H = J.T @ (bend * r), J.T @ (bend[:, None] * J)
        # coordinates at a bound that the step would leave stay there
        stuck = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
        free = ~stuck
        H = jnp.where(free[:, None] & free[None], H, 0.0)
        ridge = damping * jnp.diag(H) + 1e-6 * (1 + jnp.trace(H))
        move = solve_positive(H + jnp.diag(ridge), jnp.where(free, -gradient, 0.0))
        tried = jnp.clip(theta + move, low, high)
        better = cost(tried) < cost(theta)
        damping = jnp.clip(jnp.where(better, damping / 3, damping * 4), 1e-6, 1e6)
        return (jnp.where(better, tried, theta), damping), None

    starts = jnp.clip(_starts(x, y, weight), low[None], high[None])
    best = starts[jnp.argmin(jax.vmap(cost)(starts))]
    return jax.lax.scan(step, (best, jnp.float32(1e-2)), length=_STEPS)[0][0]


def _starts(x: Array, y: Array, weight: Array) -> Array:
    """Parameters float[n, 4] to begin from: ones, and by (a, b) of a grid the A >= 0 and c that fit best."""
    a, b = jnp.meshgrid(jnp.array(_STEEPNESS), jnp.linspace(0, 1, 9), indexing="ij")
    a, b = a.ravel(), b.ravel()
    shape = jnp.tanh(a[:, None] * (x[None] - b[:, None]) / 2)
    share = jnp.square(weight) / jnp.maximum(jnp.square(weight).sum(), 1e-12)
    mean, level = shape @ share, y @ share
    apart = shape - mean[:, None]
    slope = (apart * (y - level)[None]) @ share / jnp.maximum(jnp.square(apart) @ share, 1e-12)
    A = jnp.maximum(slope, 0.0)
    return jnp.concatenate([jnp.ones((1, 4)), jnp.stack([A, a, b, level - A * mean], -1)])


def sample_weights(before: Array, preferences: Array, valid: Array, returns: Array) -> Array:
    """Weights float[H] of records near `returns` [m]: exp(-d^2 / (2 sigma^2)), 0 where not near.

    before: float[H, m], returns where a record begins; preferences: float[H, m]; valid: bool[H]. Near is
    within 10 % in every objective; the share doubles until more than three records with different
    preferences are near, or all valid ones are.
    """
    gap = jnp.abs(before - returns[None]) / jnp.maximum(jnp.abs(returns), 1e-8)[None]
    index = jnp.arange(len(before))
    same = (jnp.abs(preferences[:, None] - preferences[None]) < 1e-6).all(-1)

    def near(share: Array) -> Array:
        return valid & (gap <= share).all(-1)

    def distinct(share: Array) -> Array:
        close = near(share)
        earlier = same & close[None] & (index[None] < index[:, None])
        return (close & ~earlier.any(-1)).sum()

    shares = 0.1 * 2.0 ** jnp.arange(12)
    enough = jax.vmap(distinct)(shares) >= FEWEST
    share = jnp.where(enough.any(), shares[jnp.argmax(enough)], jnp.inf)
    close = near(share)
    # the nearest record has weight 1, so that far ones do not vanish where nothing nearer exists
    d2 = jnp.where(close, jnp.square(gap).mean(-1), jnp.inf)
    least = jnp.where(close.any(), d2.min(), 0.0)
    return jnp.where(close, jnp.exp(-(d2 - least) / (2 * SIGMA**2)), 0.0)
