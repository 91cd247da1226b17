"""The tangent kernel of infinitely many cosine neurons is exp(-(x - y)^2 / 2) (2 + x y) / 2.

Statement. For phi = beta cos(w x + c) with beta, w ~ N(0, 1) and c uniform on (-pi, pi), E grad phi(x) . grad
phi(y) is that; and at alpha = 32 the flow from a quadrature of the initial distribution is near the linear
equation of that kernel.

Check. Kernel of 2e5 particles on 5 points, in units of 4 standard errors (one of 15 pairs exceeds them with
probability 1e-3; the seed is fixed); the flow on 16 nodes at t = 4, in units of 1e-4 in L2.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.minimax.flow import flow
from jaxrl.minimax.lazy import lazy_flow, linear_system
from jaxrl.minimax.particles import COS, Particles, cos_kernel, draw, equal_weights, gram, quadrature
from jaxrl.minimax.velocity import Networks, Players
from theory.exact.result import Result
from theory.minimax.oracles import saddle
from theory.minimax.setting import at_most, distance, reference

X = np.linspace(-2.0, 2.0, 5)


@cache
def instance(seed: int, parts: int = 20, size: int = 10_000) -> np.ndarray:
    """`[parts, 5, 5]`, kernels of independent groups of particles."""
    theta = draw(jax.random.key(seed), COS, 1, parts * size, "iid").reshape(parts, size, 3)
    kernel = jax.jit(lambda rows: gram(COS, Particles(rows, equal_weights(size)), X[:, None]))
    return np.stack([kernel(rows) for rows in theta])


@cache
def end_of_flow() -> tuple[np.ndarray, np.ndarray]:
    """Both functions at t = 4, `[16]` each."""
    infinite, networks, made = quadrature(COS, (6, 28, 16)), Networks(COS, COS), reference()
    run = jax.jit(
        lambda: flow(
            networks, Players(infinite, infinite), made, 32.0, saddle(made), dt=0.2, steps=20, every=20
        )
    )
    trace = run()
    return np.asarray(trace.f[-1]), np.asarray(trace.g[-1])


def check(kernel: Callable[[Array, Array], Array] = cos_kernel) -> Result:
    """Both errors, of a claimed kernel."""
    made = reference()
    with jax.enable_x64(True):
        groups = instance(10)
        standard = groups.std(0, ddof=1) / np.sqrt(len(groups))
        sampled = (groups.mean(0) - kernel(X, X)) / (4 * standard)
        f, g = end_of_flow()
        x = made.x[:, 0]
        lazy = lazy_flow(*linear_system(made, kernel(x, x), kernel(x, x)), jnp.zeros(2 * len(x)), 4.0, 1)[-1]
        lazy = np.asarray(lazy)
        off = distance(made, f - lazy[: len(x)], g - lazy[len(x) :])
    return at_most([np.abs(np.asarray(sampled)).max(), off / 1e-4], 1.0)


def broken() -> Result:
    """The part of the outer weights alone: random features in place of the tangent kernel."""
    return check(lambda x, y: jnp.exp(-((x[:, None] - y[None]) ** 2) / 2) / 2)
