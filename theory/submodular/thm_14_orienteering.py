"""Submodular orienteering is a deterministic problem with set rewards, which makes the latter hard.

Statement. A walk of at most B edges from a node of a digraph that maximises a monotone submodular F of the
nodes on it, is an optimal trajectory of the problem with B actions: follow an edge, or stay. So no
polynomial algorithm approximates the latter better than the former (Chekuri and Pal 2005). (Prajapat et al.
2024, theorem 1.)

Check. 20 random digraphs of 6 nodes, B = 5, coverage of random sets, against all walks.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.submodular.exact import best_value, covered
from theory.exact.result import Result, identity
from theory.submodular.instances import Problem

N, BUDGET, U = 6, 5, 8


def instance(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges bool[N, N], covers bool[N, U], weights [U]."""
    rng = np.random.default_rng(seed)
    return rng.random((N, N)) < 0.3, rng.random((N, U)) < 0.3, rng.random(U)


def as_problem(edges: np.ndarray, covers: np.ndarray, weight: np.ndarray, states: int) -> Problem:
    """Action b of node a follows the edge to b, and stays where there is none."""
    ends = np.where(edges, np.arange(N)[None], np.arange(N)[:, None])
    with jax.enable_x64(True):
        mdp = jax.tree.map(np.asarray, make_mdp(np.eye(N)[ends], np.zeros((N, N))))
    return Problem(mdp, covered(covers, weight), states)


def best_walk(edges: np.ndarray, covers: np.ndarray, weight: np.ndarray) -> float:
    """The best value of all walks from node 0."""

    def extend(node: int, seen: np.ndarray, left: int) -> float:
        value = float(seen @ weight)
        if left == 0:
            return value
        return max(
            [value, *(extend(int(b), seen | covers[b], left - 1) for b in np.flatnonzero(edges[node]))]
        )

    return extend(0, covers[0], BUDGET)


def check(states: int = BUDGET + 1) -> Result:
    """Optimum of the problem minus that of the walks."""
    instances = [instance(seed) for seed in range(20)]
    found = [best_value(as_problem(*x, states).unfold()) for x in instances]
    return identity(np.array(found) - [best_walk(*x) for x in instances])


def broken() -> Result:
    """Budget counted in nodes: one edge too few."""
    return check(BUDGET)
