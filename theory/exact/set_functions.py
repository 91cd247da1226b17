"""Best and greedy values of set functions: of small sets, and of trajectories rewarded by a set function.

A set function is a Python function of a sorted tuple of items, e.g. `on_host(F, params)`; items are ints.

Legend: `S` states, `H` steps.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.protocol import SetFunction
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.tables import Tables, tables

HostSetFunction = Callable[[tuple[int, ...]], float]

# gains that differ by less are ties, so that rounding does not choose
_TIE = 1e-12


def on_host(F: SetFunction, params: Any = None) -> HostSetFunction:
    """`F` with its parameters in float64, remembering what it has computed.

    Call the result inside `with jax.enable_x64(True)`; `params` made outside are cast.
    """
    params = F.default_params() if params is None else params
    params = jax.tree.map(
        lambda x: np.asarray(x, np.float64) if np.asarray(x).dtype.kind == "f" else x, params
    )
    add = jax.jit(F.add)

    @functools.cache
    def statistic(items: tuple[int, ...]) -> tuple[Any, float]:
        if jnp.result_type(float) != np.float64:
            raise UsageError("F: would compute in float32; work inside `with jax.enable_x64(True)`")
        if not items:
            return F.init(params), 0.0
        stat, value = statistic(items[:-1])
        stat, gain = add(params, stat, np.int32(items[-1]))
        return stat, value + float(gain)

    return lambda items: statistic(items)[1]


def best(f: HostSetFunction, items: Sequence[int], k: int) -> tuple[tuple[int, ...], float]:
    """`(subset, value)` of the best subset of at most `k` items, by trying all; the first one of equals."""
    subsets = itertools.chain.from_iterable(itertools.combinations(sorted(items), n) for n in range(k + 1))
    return _first_best(subsets, f)


def greedy(f: HostSetFunction, items: Sequence[int], k: int) -> tuple[tuple[int, ...], float]:
    """`(subset, value)` after adding `k` times the item of the largest gain; the lowest one of equals.

    For monotone submodular `f` the value is at least `1 - (1 - 1/k)^k` of the best (Nemhauser, Wolsey, Fisher
    1978).
    """
    chosen: tuple[int, ...] = ()
    for _ in range(min(k, len(items))):
        left = [i for i in sorted(items) if i not in chosen]
        chosen, _ = _first_best([tuple(sorted((*chosen, i))) for i in left], f)
    return chosen, f(chosen)


def best_trajectory_value(mdp: TabularMDP, f: HostSetFunction, horizon: int | None = None) -> float:
    """E[f(s_0, .., s_H)] of the best policy that may remember everything, by dynamic programming over
    `(h, s, items so far)`. States are the items.
    """
    return _trajectory_value(tables(mdp, horizon), f, myopic=False)


def greedy_trajectory_value(mdp: TabularMDP, f: HostSetFunction, horizon: int | None = None) -> float:
    """E[f(s_0, .., s_H)] of the policy that maximises the expected gain of the next step; the lowest action
    of equals.
    """
    return _trajectory_value(tables(mdp, horizon), f, myopic=True)


def _trajectory_value(t: Tables, f: HostSetFunction, myopic: bool) -> float:
    if t.horizon is None:
        raise UsageError("horizon: is needed, because the tables are stationary")

    @functools.cache
    def value(h: int, s: int, items: tuple[int, ...]) -> float:
        if h == t.horizon:
            return f(items)
        after = [tuple(sorted((*items, u))) for u in range(len(t.mu0))]
        rows = t.P[h, s]

        def expected(row: np.ndarray, score: Callable[[int], float]) -> float:
            return sum(row[u] * score(int(u)) for u in np.flatnonzero(row))

        def later(u: int) -> float:
            return value(h + 1, u, after[u])

        if not myopic:
            return max(expected(row, later) for row in rows)
        scores = np.array([expected(row, lambda u: f(after[u])) for row in rows])
        return expected(rows[int(np.argmax(scores >= scores.max() - _TIE))], later)

    return sum(t.mu0[s] * value(0, int(s), (int(s),)) for s in np.flatnonzero(t.mu0))


def _first_best(subsets: Any, f: HostSetFunction) -> tuple[tuple[int, ...], float]:
    winner, most = (), -np.inf
    for subset in subsets:
        value = f(subset)
        if value > most + _TIE:
            winner, most = subset, value
    return winner, most
