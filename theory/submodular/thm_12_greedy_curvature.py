"""Greedy sets reach (1 - e^-c) / c of the best at curvature c, one per block 1 / (1 + c).

Statement. For monotone submodular F with total curvature c: greedy choice of k items has
F >= (1 - (1 - c/k)^k) / c OPT >= (1 - e^-c) / c OPT; greedy choice of one item from each block of a partition
has F >= OPT / (1 + c).
(Conforti and Cornuejols 1984.)

Check. Coverage of random sets plus positive weights, 9 items, 60 instances: k = 3 of all, and one of each of
three blocks, against all choices.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.envs.sets.combinators import Sum, SumParams
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import curvature, evaluate
from jaxrl.submodular.greedy import greedy, greedy_bound, partition_bound, partition_greedy
from theory.exact.result import Result, inequality

N, K, U = 9, 3, 12
F = Sum((Coverage(N, U), Modular(N)))
BLOCKS = np.arange(N).reshape(K, -1)


def instance(seed: int) -> SumParams:
    """Random parameters of `F`."""
    rng = np.random.default_rng(seed)
    covers, weight = rng.random((N, U)) < 0.35, rng.random(U)
    cover = F.parts[0].default_params()._replace(covers=covers, weight=weight)
    return SumParams(np.ones(2), (cover, 0.1 + 0.2 * rng.random(N)))


@functools.partial(jax.jit, static_argnums=1)
def values(params: SumParams, choose: Callable[[SumParams], tuple[Array, Array]]) -> tuple[Array, ...]:
    """Curvature, best of 3 and per block, what `choose` reaches of 3 and per block; of stacked instances."""

    def one(params: SumParams) -> tuple[Array, ...]:
        of = jax.vmap(functools.partial(evaluate, F, params))
        threes = of(jnp.array(list(itertools.combinations(range(N), K))))
        blocks = of(jnp.array(list(itertools.product(*BLOCKS))))
        return curvature(F, params, jnp.arange(N)), threes.max(), blocks.max(), *choose(params)

    return jax.vmap(one)(params)


def by_gain(params: SumParams) -> tuple[Array, Array]:
    """The values of greedy choice."""
    ground = jnp.arange(N)
    return (
        greedy(F, params, ground, K).gain.sum(),
        partition_greedy(F, params, ground, jnp.asarray(BLOCKS)).gain.sum(),
    )


def check(choose: Callable[[SumParams], tuple[Array, Array]] = by_gain) -> Result:
    """Promised minus reached values."""
    with jax.enable_x64(True):
        params = jax.tree.map(lambda *x: jnp.stack(x), *(instance(seed) for seed in range(60)))
        c, three, blocks, reached, per_block = map(np.asarray, values(params, choose))
    promised = [greedy_bound(K, x) for x in c]
    return inequality([promised * three, [partition_bound(x) for x in c] * blocks], [reached, per_block])


def broken() -> Result:
    """The items of the smallest values of their own."""

    def smallest(params: SumParams) -> tuple[Array, Array]:
        alone = jax.vmap(F.gain, (None, None, 0))(params, F.init(params), jnp.arange(N))
        order = jnp.argsort(alone)[:K]
        worst = jnp.argmin(alone[jnp.asarray(BLOCKS)], axis=1) + jnp.asarray(BLOCKS[:, 0])
        return evaluate(F, params, order), evaluate(F, params, worst)

    return check(smallest)
