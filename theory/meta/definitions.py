"""Drift functions written down anew, in float64 and without shared code, so that the library can be compared.

Legend: `r` ratio of probabilities, `A` advantage, `H` hidden units, `F` features: 8, or 16 with time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array

CLIP, XI = 0.2, 1e-4
Hidden = Callable[[Array], Array]


class Net(NamedTuple):
    """A network without biases. inner: float64[F, H]; outer: float64[H]."""

    inner: Array
    outer: Array


def random_net(rng: np.random.Generator, scale: float, features: int = 8, hidden: int = 16) -> Net:
    """Weights of N(0, scale^2)."""
    draw = scale * rng.normal(size=(features + 1, hidden))
    return Net(jnp.asarray(draw[:-1]), jnp.asarray(draw[-1]))


def ppo_drift(r: Array, A: Array, clip: float = CLIP) -> Array:
    """The drift relu((r - clip(r)) A) of PPO, `[...]`."""
    return jax.nn.relu((r - jnp.clip(r, 1 - clip, 1 + clip)) * A)


def features(r: Array, A: Array) -> Array:
    """The eight features of LPO, `[..., 8]`: d, d^2, l, l^2, dA, d^2 A, lA, l^2 A, d = 1 - r, l = log r."""
    d, l = jnp.broadcast_arrays(1 - r, jnp.log(r))
    A = jnp.broadcast_to(A, d.shape)
    return jnp.stack([d, d**2, l, l**2, d * A, d**2 * A, l * A, l**2 * A], -1)


def timed(r: Array, A: Array, progress: Array) -> Array:
    """The sixteen features of TA-LPO, `[..., 16]`: those of LPO, and n/N times each."""
    x = features(r, A)
    return jnp.concatenate([x, jnp.asarray(progress)[..., None] * x], -1)


def learned_drift(
    net: Net, x: Array, start: Array | float = 0.0, xi: float = XI, hidden: Hidden = jnp.tanh
) -> Array:
    """The drift relu(start + w2 . tanh(W1 x) - xi), `[...]`, of x `[..., F]`; `start` is 0 or PPO's drift."""
    return jax.nn.relu(start + hidden(x @ net.inner) @ net.outer - xi)


def dpo_drift(r: Array, A: Array, alpha: float = 2.0, beta: float = 0.6) -> Array:
    """The drift of DPO, `[...]`."""
    up, down = (r - 1) * A, jnp.log(r) * A
    f = jnp.where(A >= 0, up - alpha * jnp.tanh(up / alpha), down - beta * jnp.tanh(down / beta))
    return jax.nn.relu(f)


def dead_radius(net: Net, largest: float, xi: float = XI, clip: float = CLIP) -> float:
    """The largest delta < clip for which f = 0 on |r - 1| <= delta follows from |tanh u| <= |u|.

    The sum of |w2_j| |W1_ij| x_i is at most xi there, x_i the features at |l| = delta / (1 - delta) and at
    |A| = largest, n/N = 1.
    """
    influence = np.abs(np.asarray(net.inner)) @ np.abs(np.asarray(net.outer))
    if len(influence) == 16:
        influence = influence[:8] + influence[8:]
    low, high = 0.0, clip
    for _ in range(200):
        delta = (low + high) / 2
        log = delta / (1 - delta)
        x = np.array([delta, delta**2, log, log**2])
        low, high = (delta, high) if influence @ np.append(x, largest * x) <= xi else (low, delta)
    return low
