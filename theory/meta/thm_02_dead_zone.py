"""The offset of a learned drift makes it vanish in a neighbourhood of r = 1 whose radius can be computed.

Statement. f = relu(f_0 + w2 . tanh(W1 x) - xi) with f_0 = 0 or the drift of PPO at clip e vanishes for |r -
1| <= delta and |A| <= A_max if delta < e and sum_ij |w2_j| |W1_ij| x_i <= xi, x_i the largest absolute
value of feature i there, with |log r| <= delta / (1 - delta). Without the offset a hidden layer of relus
has a kink at r = 1.
(|tanh u| <= |u|; Lu et al. 2022 for the offset.)

Check. 60 random networks of 16 and of 128 hidden units, weights of standard deviation 0.1, 1 and 10, with
and without time, at 101 ratios within the radius, all |A| <= 5 of a grid, n/N in {0, 0.5, 1}.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from theory.exact.result import Result
from theory.meta.definitions import XI, Hidden, Net, dead_radius, learned_drift, ppo_drift, random_net, timed

LARGEST = 5.0  # of |A|


def instance() -> list[Net]:
    """Networks of sixteen features; those of LPO have the last eight rows 0."""
    rng, nets = np.random.default_rng(0), []
    for i in range(60):
        net = random_net(rng, (0.1, 1.0, 10.0)[i % 3], 16, (16, 128)[i % 2])
        nets.append(net if i % 4 < 2 else net._replace(inner=net.inner.at[8:].set(0)))
    return nets


@functools.partial(jax.jit, static_argnums=(3,))
def largest_drift(net: Net, radius: Array, xi: Array, hidden: Hidden) -> Array:
    """The largest f over |r - 1| <= radius, for both f_0, float64[]."""
    r, A, t = jnp.meshgrid(
        1 + radius * jnp.linspace(-1, 1, 101), jnp.linspace(-LARGEST, LARGEST, 11), jnp.linspace(0, 1, 3)
    )
    x = timed(r, A, t)
    return jnp.maximum(
        learned_drift(net, x, 0.0, xi, hidden).max(), learned_drift(net, x, ppo_drift(r, A), xi, hidden).max()
    )


def check(xi: float = XI, hidden: Hidden = jnp.tanh) -> Result:
    """The largest f within the certified radius, which is exactly 0, and the smallest radius is positive."""
    with jax.enable_x64(True):
        nets = instance()
        radii = [dead_radius(net, LARGEST) for net in nets]
        found = [
            float(largest_drift(net, jnp.asarray(radius), jnp.asarray(xi), hidden))
            for net, radius in zip(nets, radii, strict=True)
        ]
    return Result(max(found), 0.0, max(found) == 0 and min(radii) > 0)


def broken() -> Result:
    """A hidden layer of relus without an offset."""
    return check(0.0, jax.nn.relu)
