"""Global RL: maximise a set function by MDPs that pay a tight modular lower bound (De Santi et al. 2024).

Legend: `V` places, `A` actions, `states` visited states, the first included, `n` elements.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take, tree_where
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.sets.protocol import SetFunction, Visit, check_capacity, check_ground
from jaxrl.submodular.search import check_places


class Iterates(NamedTuple):
    """Result of the iterations.

    place: int32[states], the last trajectory; value: float[K + 1], F before and after each iteration.
    """

    place: Array
    value: Array


def modular_bound(F: SetFunction, params: PyTree, ground: PyTree, order: Array) -> Array:
    """float[n], gains m along `order` int32[n]: F(Y) >= sum of m over Y for every Y, equal for its prefixes.

    ground: leaves `[n, ...]`. Raises `UsageError` for more items than F can hold, and for items that F does
    not know.

    Equation: desanti2024global [modular lower bound]
    """
    check_ground("modular_bound.ground", F, ground)
    check_capacity("modular_bound.order", F, len(order))
    ground, order = jax.tree.map(jnp.asarray, (ground, order))

    def body(stat: PyTree, i: Array) -> tuple[PyTree, Array]:
        return F.add(params, stat, tree_take(ground, i))

    found = jax.lax.scan(body, F.init(params), order)[1]
    return jnp.zeros_like(found).at[order].set(found)


def global_rl(
    F: SetFunction,
    params: PyTree,
    ends: Array,
    start: Array,
    states: int,
    key: Key,
    iterations: int,
    orders: int = 8,
) -> Iterates:
    """Iterates trajectory -> modular bound, tight there -> best trajectory of the bound. F never falls.

    F: over items `Visit(h, v)`; of places, wrap it in `OfPlaces`. ends: int[V, A], moves are certain;
    start: int[]. The elements off the trajectory follow it in random order, `orders` times per iteration,
    and the best result is taken: the order decides at which time a place pays, so a bad one leaves no
    incentive to move. The first trajectory takes action 0 throughout.

    Raises `UsageError` for fewer than 2 states, for sizes below 1, for a start or ends that are no places,
    and where F cannot hold all visits.

    Equation: desanti2024global [GRL iteration]
    """
    if states < 2 or iterations < 1 or orders < 1:
        raise UsageError(
            f"global_rl.states, iterations, orders: must be >= 2, 1, 1, got {states}, {iterations}, {orders}"
        )
    check_places("global_rl.ends", ends, start)
    # host tables have 64 bits, which the loops below would not carry from step to step
    ends, start = jnp.asarray(ends, jnp.int32), jnp.asarray(start, jnp.int32)
    n_places = ends.shape[0]
    h, v = jnp.divmod(jnp.arange(states * n_places, dtype=jnp.int32), n_places)
    ground, times = Visit(h, v), jnp.arange(states, dtype=jnp.int32)

    def value(path: Array) -> Array:
        return F.value(
            params, jax.lax.scan(lambda s, x: F.add(params, s, x), F.init(params), Visit(times, path))[0]
        )

    def improve(path: Array, key: Key) -> tuple[Array, Array]:
        tail = jax.random.uniform(key, (states * n_places,))
        on_path = times * n_places + path
        order = jnp.argsort(tail.at[on_path].set(times.astype(tail.dtype) - states)).astype(jnp.int32)
        reward = modular_bound(F, params, ground, order).reshape(states, n_places)
        found = _best_path(reward, ends, start)
        return found, value(found)

    def body(carry: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], Array]:
        path, most = carry
        paths, values = jax.vmap(improve, (None, 0))(path, streams(stream(key, i), orders))
        best = jnp.argmax(values)
        better = values[best] > most
        carry = tree_where(better, (paths[best], values[best]), (path, most))
        return carry, carry[1]

    first = jax.lax.scan(lambda p, _: (ends[p, 0], p), start, None, length=states)[1]
    begin = (first, value(first))
    (path, _), values = jax.lax.scan(body, begin, jnp.arange(iterations))
    return Iterates(path, jnp.concatenate([begin[1][None], values]))


def _best_path(reward: Array, ends: Array, start: Array) -> Array:
    """int32[states], the path of the largest sum of `reward` float[states, V]; lowest action of equals."""

    def back(value: Array, row: Array) -> tuple[Array, Array]:
        score = value[ends]
        return row + score.max(1), jnp.argmax(score, axis=1)

    action = jax.lax.scan(back, reward[-1], reward[:-1], reverse=True)[1]
    path = jax.lax.scan(lambda p, a: (ends[p, a[p]],) * 2, start, action)[1]
    return jnp.concatenate([start[None], path])
