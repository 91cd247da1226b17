"""Gains along an order bound a submodular function from below, tightly on what comes first.

Statement. For submodular F with F(empty set) = 0 and an order e_1, e_2, ... of the ground set, let
m(e_i) = F(e_1 .. e_i) - F(e_1 .. e_{i-1}). Then F(Y) >= sum_{e in Y} m(e) for every Y, with equality for the
first elements of the order. So the best trajectory of the MDP that pays m has at least the value of the one
the order begins with.
(De Santi et al. 2024.)

Check. Coverage of random sets, 8 elements, 20 instances, all 256 subsets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.protocol import evaluate
from jaxrl.submodular.grl import modular_bound
from theory.exact.result import Result, inequality

N, U, FIRST = 8, 10, 3
F = Coverage(N, U)


def instance(seed: int):
    """Parameters of `F`, and an order int32[N]."""
    rng = np.random.default_rng(seed)
    params = F.default_params()._replace(covers=rng.random((N, U)) < 0.4, weight=rng.random(U))
    return params, rng.permutation(N).astype(np.int32)


@functools.partial(jax.jit, static_argnums=2)
def values(params, order: Array, weights: Callable[..., Array]) -> tuple[Array, Array]:
    """float[256] twice: F and the modular bound of every subset."""
    masks = (jnp.arange(2**N)[:, None] >> jnp.arange(N)[None]) % 2 == 1
    m = weights(F, params, jnp.arange(N), order)
    return jax.vmap(lambda mask: evaluate(F, params, jnp.arange(N), mask))(masks), masks @ m


def check(weights: Callable[..., Array] = modular_bound) -> Result:
    """Largest excess of the bound, and of F over the bound on the first elements."""
    worst = []
    with jax.enable_x64(True):
        for seed in range(20):
            params, order = instance(seed)
            exact, bound = map(np.asarray, values(params, order, weights))
            prefixes = [sum(1 << int(i) for i in order[:n]) for n in range(FIRST + 1)]
            worst += [(bound - exact).max(), (exact - bound)[prefixes].max()]
    return inequality(np.array(worst), 0.0)


def broken() -> Result:
    """Every element at its own value, which is an upper bound."""
    return check(
        lambda F, params, ground, order: jax.vmap(F.gain, (None, None, 0))(params, F.init(params), ground)
    )
