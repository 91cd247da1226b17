"""Learned drifts of LPO and TA-LPO satisfy the conditions of mirror learning for all their parameters.

Statement. f_phi = relu(f_0 + g_phi(x) - xi), g_phi a network without biases, f_0 = 0 or the drift of PPO,
and x features that vanish at r = 1, times n/N or not. For all phi, A and n/N: f >= 0, f(1, A) = 0 and
df/dr(1, A) = 0. Further, r A - f_PPO = min(r A, clip(r) A), TA-LPO at n/N = 0 is LPO with the first eight
rows of weights, and phi = 0 gives relu(f_0 - xi). n/N as an input of its own breaks f(1, A) = 0.
(Kuba et al. 2022, mirror learning; Lu et al. 2022, discovered policy optimisation.)

Check. 60 random networks of 16 hidden units, weights of standard deviation 0.1, 1 and 10, both features and
both f_0, on r in [0.01, 100], A in [-5, 5], n/N in [0, 1]; derivatives by automatic differentiation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from theory.exact.result import ROUNDING, Result
from theory.meta.definitions import CLIP, XI, Net, features, learned_drift, ppo_drift, random_net, timed

Timed = Callable[[Array, Array, Array], Array]


class Points(NamedTuple):
    """A grid of ratios, advantages and progress, float64[n] each."""

    r: Array
    A: Array
    progress: Array


def instance() -> tuple[Points, list[Net]]:
    """The grid and 60 networks of sixteen features."""
    axes = np.geomspace(0.01, 100, 41), np.linspace(-5, 5, 11), np.linspace(0, 1, 5)
    grid = (jnp.asarray(axis.ravel()) for axis in np.meshgrid(*axes, indexing="ij"))
    rng = np.random.default_rng(0)
    return Points(*grid), [random_net(rng, scale, 16) for scale in (0.1, 1.0, 10.0) for _ in range(20)]


@functools.partial(jax.jit, static_argnums=(0,))
def errors(inputs: Timed, net: Net, at: Points, initialised: Array) -> tuple[Array, ...]:
    """Violations of the conditions and of the identities by one network, float64[n] each.

    initialised: 1 where f_0 is the drift of PPO, 0 where it is 0.
    """

    def f(r: Array) -> Array:
        return learned_drift(net, inputs(r, at.A, at.progress), initialised * ppo_drift(r, at.A))

    one = jnp.ones_like(at.r)
    value, slope = jax.jvp(f, (one,), (one,))
    start = initialised * ppo_drift(at.r, at.A)
    blind = learned_drift(Net(net.inner[:8], net.outer), features(at.r, at.A), start)
    early = learned_drift(net, inputs(at.r, at.A, jnp.zeros_like(at.r)), start)
    zero = learned_drift(Net(0 * net.inner, 0 * net.outer), inputs(at.r, at.A, at.progress), start)
    clipped = jnp.minimum(at.r * at.A, jnp.clip(at.r, 1 - CLIP, 1 + CLIP) * at.A)
    scale = 1 + jnp.abs(at.r * at.A)
    return (
        jnp.maximum(-f(at.r), 0),
        value,
        slope,
        (early - blind) / (1 + blind),
        zero - jax.nn.relu(start - XI),
        (at.r * at.A - ppo_drift(at.r, at.A) - clipped) / scale,
    )


def check(inputs: Timed = timed) -> Result:
    """The largest violation, relative where values are large.

    inputs: `(r, A, n/N) -> [..., 16]`, what the network reads.
    """
    with jax.enable_x64(True):
        at, nets = instance()
        found = [
            float(jnp.abs(error).max())
            for net in nets
            for initialised in (0.0, 1.0)
            for error in errors(inputs, net, at, jnp.asarray(initialised))
        ]
    measured = max(found)
    return Result(measured, ROUNDING, measured <= ROUNDING)


def broken() -> Result:
    """n/N added to the features, in place of multiplying them."""

    def added(r: Array, A: Array, progress: Array) -> Array:
        x = features(r, A)
        return jnp.concatenate([x, x + progress[..., None]], -1)

    return check(added)
