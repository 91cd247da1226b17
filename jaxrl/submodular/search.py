"""Planners that know the dynamics: myopic rollouts and beam search.

Legend: `V` places, `A` actions, `m` successors of a place, `states` visited states, the first included. F is
a set function of places; what it remembers need not fit into a few bits, unlike in `exact`.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, Size, check_value
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.sets.protocol import SetFunction, check_capacity, check_ground, gains, indices_below


class Path(NamedTuple):
    """A trajectory of places and its value.

    place: int32[states]; value: float[], F of the places.
    """

    place: Array
    value: Array


def check_places(name: str, table: Any, start: Any) -> None:
    """Raises `UsageError` unless `table` is integers [V, m] that with `start` [] are places 0 .. V - 1.

    Numbers that are known only inside a compiled program are not looked at.
    """
    if isinstance(table, jax.core.Tracer):
        return
    table = np.asarray(table)
    places = table.ravel() if isinstance(start, jax.core.Tracer) else np.append(table.ravel(), start)
    if table.ndim != 2 or not indices_below(places, len(table)).all():
        raise UsageError(
            f"{name}, start: must be integers [V, m] and [], places 0 .. V - 1 = {len(table) - 1}"
        )


def greedy_rollout(
    F: SetFunction, params: PyTree, successor: Array, probability: Array, start: Array, states: int, key: Key
) -> Path:
    """One trajectory of the policy that maximises the expected gain of the next state, the lowest of equals.

    successor: int[V, m], probability: float[V, A, m], see `exact.successors`; start: int[]. Pure: vmap it
    over keys where moves are random. Raises `UsageError` for fewer than 2 states or more than F can hold, and
    for a start or successors that are no places.
    """
    states = check_value("greedy_rollout.states", states, Annotated[int, Range(2)])
    check_capacity("greedy_rollout.states", F, states)
    check_places("greedy_rollout.successor", successor, start)
    # host tables have 64 bits, which the loop below would not carry from step to step
    successor, start = jnp.asarray(successor, jnp.int32), jnp.asarray(start, jnp.int32)
    probability = jnp.asarray(probability)

    def body(carry: tuple[Array, PyTree], key: Key) -> tuple[tuple[Array, PyTree], Array]:
        place, stat = carry
        expected = probability[place] @ gains(F, params, stat, successor[place])
        # gains that differ by rounding alone are ties
        slack = 1e-6 * jnp.max(jnp.abs(expected))
        action = jnp.argmax(expected >= expected.max() - slack)
        choice = jax.random.choice(key, successor.shape[1], p=probability[place, action])
        after = successor[place, choice]
        return (after, F.add(params, stat, after)[0]), after

    stat, _ = F.add(params, F.init(params), start)
    (_, stat), path = jax.lax.scan(body, (start, stat), streams(key, states - 1))
    return Path(jnp.concatenate([start[None], path]), F.value(params, stat))


def beam_search(
    F: SetFunction, params: PyTree, ends: Any, start: int, states: int, width: int
) -> tuple[list[int], float]:
    """`(path, F of it)`: keeps the best `width` partial paths and extends them; a lower bound on the best F.

    Moves are certain: `ends` int[V, A]. Of partial paths that are at one place and remember the same, one is
    kept. Not for jit. Raises `UsageError` for fewer than 2 states or more than F can hold, for a width below
    1, and for a start or ends that are no places of `ends` and of F.
    """
    states = check_value("beam_search.states", states, Annotated[int, Range(2)])
    width = check_value("beam_search.width", width, Size)
    check_capacity("beam_search.states", F, states)
    ends = np.asarray(ends)
    check_places("beam_search.ends", ends, start)
    check_ground("beam_search.ends", F, np.append(ends.ravel(), start))
    n_actions = ends.shape[1]

    @jax.jit
    def extend(stat: PyTree, place: Array) -> tuple[PyTree, Array]:
        after, _ = jax.vmap(F.add, (None, 0, 0))(params, stat, place)
        return after, jax.vmap(F.value, (None, 0))(params, after)

    stat, _ = F.add(params, F.init(params), jnp.int32(start))
    # on the host between steps: taking rows there compiles nothing
    stat, place = jax.tree.map(lambda x: np.asarray(x)[None], stat), np.array([start], np.int32)
    trace: list[tuple[np.ndarray, np.ndarray]] = []
    value = np.zeros(1)
    for _ in range(states - 1):
        parent = np.repeat(np.arange(len(place)), n_actions)
        to = ends[place].ravel().astype(np.int32)
        # always as many rows as a full beam has, so that one program is compiled
        rows = np.resize(np.arange(len(to)), width * n_actions)
        stat, scores = extend(tree_take(stat, parent[rows]), to[rows])
        stat, scores = jax.tree.map(lambda x, n=len(to): np.asarray(x)[:n], (stat, scores))
        kept = _distinct(to, stat)
        kept = kept[np.argsort(-scores[kept], kind="stable")[:width]]
        stat, place, value = tree_take(stat, kept), to[kept], scores[kept]
        trace.append((parent[kept], place))
    path, i = [], 0
    for parent, place in reversed(trace):
        path.append(int(place[i]))
        i = parent[i]
    return [start, *path[::-1]], float(value[0])


def _distinct(place: np.ndarray, stat: PyTree) -> np.ndarray:
    """Ascending indices of the first of each group that is equal in place and statistic."""
    columns = [place.view(np.uint8).reshape(len(place), -1)]
    for leaf in jax.tree.leaves(stat):
        flat = np.ascontiguousarray(leaf.reshape(len(place), -1))
        packed = np.packbits(flat, axis=1) if flat.dtype == bool else flat.view(np.uint8)
        columns.append(packed.reshape(len(place), -1))
    rows = np.ascontiguousarray(np.concatenate(columns, axis=1))
    keys = rows.view(np.dtype((np.void, rows.shape[1])))[:, 0]
    return np.sort(np.unique(keys, return_index=True)[1])
