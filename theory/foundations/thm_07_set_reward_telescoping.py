"""Marginal gains add up to the value of the trajectory.

Statement. For every set function F with F(empty set) = 0 and items s_0, .., s_T the rewards
    r_t = F({s_0, .., s_{t+1}}) - F({s_0, .., s_t})
sum to F({s_0, .., s_T}) - F({s_0}).

Check. Coverage, facility location and log-determinant as folds (`jaxrl.envs.set_reward`) on 40 random
trajectories each, against F computed from the whole set in one formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.sets.coverage import Coverage, CoverageParams
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.sets.log_det import LogDet, LogDetParams
from theory.exact.result import Result, identity

V, U, T = 6, 9, 8


def instance(seed: int) -> list[tuple[Any, Any, Callable[[np.ndarray], float]]]:
    """`(F, params, formula)` with random float64 parameters; `formula(items)` is F of the set of items."""
    rng = np.random.default_rng(seed)
    covers, weight, similarity = rng.random((V, U)) < 0.3, rng.random(U), rng.random((V, U))
    root = rng.normal(size=(V, V))
    kernel, noise = root @ root.T, 0.5
    return [
        (
            Coverage(V, U),
            CoverageParams(covers, weight),
            lambda items: covers[items].any(0) @ weight,
        ),
        (FacilityLocation(V, U), similarity, lambda items: similarity[items].max(0).sum()),
        (
            LogDet(V, T + 1),
            LogDetParams(kernel, np.float64(noise)),
            lambda items: (
                0.5 * np.linalg.slogdet(np.eye(len(items)) + kernel[np.ix_(items, items)] / noise)[1]
            ),
        ),
    ]


def marginal_gains(F: Any, params: Any, items: jax.Array) -> jax.Array:
    """float64`[T]`, gains of items 1 .. T, the statistic having started with item 0."""
    stat, _ = F.add(params, F.init(params), items[0])
    return jax.lax.scan(lambda stat, item: F.add(params, stat, item), stat, items[1:])[1]


def check(gains: Callable[..., jax.Array] = marginal_gains) -> Result:
    """Sum of rewards minus the difference of the formula."""
    errors = []
    with jax.enable_x64(True):
        fold = jax.jit(gains, static_argnums=0)
        for seed in range(40):
            items = np.random.default_rng(seed).integers(0, V, T + 1)
            for F, params, formula in instance(seed):
                params = jax.tree.map(jnp.asarray, params)
                total = float(fold(F, params, jnp.asarray(items, jnp.int32)).sum())
                errors.append(total - (formula(items) - formula(items[:1])))
    return identity(np.array(errors))


def broken() -> Result:
    """Gains with respect to the previous item only, so that a second visit pays again."""

    def forgetful(F, params, items):
        def gain(before, item):
            return F.gain(params, F.add(params, F.init(params), before)[0], item)

        return jax.vmap(gain)(items[:-1], items[1:])

    return check(forgetful)
