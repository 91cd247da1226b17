"""Small problems with known optima: coverage and items on grids, Gaussian processes, lines, random SMDPs.

Legend: `V` places, `A` actions, `U` elements. `states` counts visited states, the first included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage.maps import matern_kernel
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.grid_coverage import footprint_table
from jaxrl.envs.tabular.mdp import TabularMDP, make_mdp
from jaxrl.submodular.exact import Memory, Unfolded, counted, covered, unfold, visited

W16 = (7 * np.arange(16) + 3) % 11 + 1.0
W25 = (5 * np.arange(25) ** 2 + 3 * np.arange(25) + 1.0) % 13


class Problem(NamedTuple):
    """An instance with its memory and its oracle.

    states: visited states, the first included; bonus: float[states, V] or None, see `unfold`.
    """

    mdp: TabularMDP
    memory: Memory
    states: int
    bonus: np.ndarray | None = None

    def unfold(self) -> Unfolded:
        """The problem as layers of nodes."""
        return unfold(self.mdp, self.memory, self.states, self.bonus)


def grid(rows: int, cols: int, start: int, slip: float = 0.0) -> TabularMDP:
    """Stay, right, down, left, up; float64 tables."""
    with jax.enable_x64(True):
        env = PlaceGrid(rows, cols, start, slip)
        return jax.tree.map(np.asarray, env.to_tabular(env.default_params()))


def footprints(rows: int, cols: int, name: str) -> np.ndarray:
    """bool[V, V], what each cell covers."""
    covers = np.zeros((rows * cols, rows * cols + 1), bool)
    covers[np.arange(rows * cols)[:, None], footprint_table(rows, cols, name)] = True
    return covers[:, :-1]


# name -> (side, footprint, weights, start, states)
COVERAGE = {
    "A": (3, "point", np.ones(9), 0, 5),
    "B": (4, "quad", np.ones(16), 0, 6),
    "C": (4, "quad", W16, 0, 6),
    "C2": (4, "plus", W16, 5, 6),
    "D": (5, "quad", W25, 12, 8),
    "D2": (5, "plus", W25, 12, 9),
    "E": (2, "point", np.array([1.0, 2.0, 3.0, 4.0]), 0, 4),
}


def coverage(name: str, slip: float = 0.0) -> Problem:
    """The coverage problem of that name in `COVERAGE`."""
    side, footprint, weight, start, states = COVERAGE[name]
    return Problem(grid(side, side, start, slip), covered(footprints(side, side, footprint), weight), states)


def line(n: int, start: int, slip: float = 0.0, stay: bool = True) -> TabularMDP:
    """Cells 0 .. n - 1 with moves (stay,) left, right, clipped; slips are uniform over the moves."""
    moves = (0, -1, 1) if stay else (-1, 1)
    ends = np.clip(np.arange(n)[:, None] + np.array(moves), 0, n - 1)
    to = np.eye(n)[ends]
    with jax.enable_x64(True):
        P = (1 - slip) * to + slip * to.mean(1, keepdims=True)
        return jax.tree.map(np.asarray, make_mdp(P, np.zeros(P.shape[:2]), start))


def trap(length: int, reward: float) -> Problem:
    """A small reward next to the start, a large one at the far end of the line, nothing between."""
    weight = np.zeros(length + 2)
    weight[[0, -1]] = 1, reward
    return Problem(
        line(length + 2, 1, stay=False), covered(np.eye(length + 2, dtype=bool), weight), length + 1
    )


def kernel(side: int, spacing: float, variance: float = 1.0, matern: bool = False) -> np.ndarray:
    """float64[V, V] with length 1 on a square grid: squared exponential, or Matern-5/2."""
    if matern:
        return matern_kernel(side, side, spacing, variance)
    x = spacing * np.stack(np.divmod(np.arange(side**2), side), axis=1)
    return variance * np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 2)


def information(K: np.ndarray, noise: float) -> Callable[[tuple[int, ...]], float]:
    """1/2 log det(I + K_SS / noise) of places with repetitions, from the determinant."""

    def f(items: tuple[int, ...]) -> float:
        index = list(items)
        return 0.5 * float(np.linalg.slogdet(np.eye(len(index)) + K[np.ix_(index, index)] / noise)[1])

    return f


# name -> (side, kernel, noise, start, states)
DESIGN = {
    "G1": (3, kernel(3, 1.0), 0.1, 4, 5),
    "G2": (4, kernel(4, 0.5), 0.01, 5, 7),
    "G3": (4, kernel(4, 0.5, np.log(2), matern=True), 0.01, 5, 7),
}


def design(name: str) -> Problem:
    """The design problem of that name in `DESIGN`."""
    side, K, noise, start, states = DESIGN[name]
    return Problem(grid(side, side, start), counted(side**2, states, information(K, noise)), states)


# name -> (map, demands, start, states)
ITEMS = {
    "I1": (("A.B", ".AC", "B.A"), {"A": 2, "B": 1, "C": 1}, 0, 6),
    "I2": (("AB.A", ".CAB", "B..C", "A.CA"), {"A": 3, "B": 2, "C": 1}, 5, 8),
}


def items(name: str, slip: float = 0.0) -> Problem:
    """The problem of items of that name in `ITEMS`."""
    layout, demand, start, states = ITEMS[name]
    cells = "".join(layout)

    def f(places: tuple[int, ...]) -> float:
        found = [cells[v] for v in places]
        return float(sum(min(found.count(kind), most) for kind, most in demand.items()))

    mdp = grid(len(layout), len(layout[0]), start, slip)
    return Problem(mdp, visited(len(cells), f), states)


def fork() -> Problem:
    """Start at either end of three cells, pass the middle, choose an end: only memory knows the other one."""
    P = np.zeros((3, 2, 3))
    P[[0, 2], :, 1] = 1
    P[1, 0, 0] = P[1, 1, 2] = 1
    with jax.enable_x64(True):
        mdp = jax.tree.map(np.asarray, make_mdp(P, np.zeros((3, 2)), [0.5, 0, 0.5]))
    return Problem(mdp, covered(np.eye(3, dtype=bool), np.ones(3)), 3)


def slippery_line() -> Problem:
    """Three cells, start in the middle, slip 1/5, four states, distinct cells."""
    return Problem(line(3, 1, 0.2), covered(np.eye(3, dtype=bool), np.ones(3)), 4)


def random_problem(
    seed: int, n_places: int = 3, n_actions: int = 2, states: int = 4, n_elements: int = 4
) -> Problem:
    """Random transitions, coverage plus a positive part by time and place: curvature below 1."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(n_places, 0.7), (n_places, n_actions))
    with jax.enable_x64(True):
        mdp = jax.tree.map(
            np.asarray, make_mdp(P, np.zeros((n_places, n_actions)), rng.dirichlet(np.ones(n_places)))
        )
    covers = rng.random((n_places, n_elements)) < 0.6
    return Problem(
        mdp, covered(covers, rng.random(n_elements)), states, 0.05 + 0.3 * rng.random((states, n_places))
    )


def total_curvature(problem: Problem) -> float:
    """1 - min F(s | rest) / F({s}) over all visits (h, v) of a problem with a bonus.

    Every place occurs at every time, so that beside the rest a visit is worth its bonus alone. Raises
    `UsageError` without a bonus, where the curvature is 1.
    """
    if problem.bonus is None:
        raise UsageError("problem.bonus: without a modular part by time the curvature is 1")
    alone = problem.memory.alone(problem.mdp.n_states)
    return float(1 - (problem.bonus / (alone + problem.bonus)).min())
