"""Set-function oracles against exhaustive search and published optima of small coverage problems."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.coverage import Coverage, CoverageParams
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.tabular.mdp import make_mdp
from theory.exact.set_functions import (
    best,
    best_trajectory_value,
    greedy,
    greedy_trajectory_value,
    on_host,
)


def grid(rows, columns, start, slip=0.0):
    """Stay, right, down, left, up; with probability slip another draw, uniform over the five."""
    n = rows * columns
    P = np.zeros((n, 5, n))
    for r, c in np.ndindex(rows, columns):
        moves = [(r, c), (r, c + 1), (r + 1, c), (r, c - 1), (r - 1, c)]
        ends = [x * columns + y if 0 <= x < rows and 0 <= y < columns else r * columns + c for x, y in moves]
        for a in range(5):
            P[r * columns + c, a, ends[a]] += 1 - slip
            for end in ends:
                P[r * columns + c, a, end] += slip / 5
    with jax.enable_x64(True):
        return make_mdp(P, np.zeros((n, 5)), start)


def quads(side):
    """covers bool[n, n]: the 2 x 2 block whose upper-left corner is the cell, clipped."""
    covers = np.zeros((side**2, side**2), bool)
    for r, c in np.ndindex(side, side):
        for x, y in itertools.product((r, r + 1), (c, c + 1)):
            if x < side and y < side:
                covers[r * side + c, x * side + y] = True
    return covers


def coverage(covers, weight):
    params = CoverageParams(np.asarray(covers), np.asarray(weight, np.float64))
    return on_host(Coverage(*params.covers.shape), params)


W16 = (7 * np.arange(16) + 3) % 11 + 1.0


@pytest.mark.parametrize(
    ("mdp", "covers", "weight", "visited", "optimum", "greedy_value"),
    [
        (grid(3, 3, 0), np.eye(9, dtype=bool), np.ones(9), 5, 5.0, 5.0),
        (grid(3, 3, 0, 0.1), np.eye(9, dtype=bool), np.ones(9), 5, 4.77779984, 4.74037424),
        (grid(4, 4, 0), quads(4), np.ones(16), 6, 14.0, 14.0),
        (grid(4, 4, 0), quads(4), W16, 6, 91.0, 85.0),
        (grid(4, 4, 0, 0.1), quads(4), W16, 6, 85.9560558112, 81.3614878432),
    ],
)
def test_published_optima_of_coverage(mdp, covers, weight, visited, optimum, greedy_value):
    """Three grids with and without slip, to the published digits."""
    with jax.enable_x64(True):
        f = coverage(covers, weight)
        assert best_trajectory_value(mdp, f, visited - 1) == pytest.approx(optimum, abs=1e-8)
        assert greedy_trajectory_value(mdp, f, visited - 1) == pytest.approx(greedy_value, abs=1e-8)


def test_best_trajectory_against_all_action_sequences():
    """Deterministic moves, facility location with random similarities."""
    similarity = np.random.default_rng(0).random((6, 4))
    mdp = grid(2, 3, 1)
    P = np.asarray(mdp.P)
    with jax.enable_x64(True):
        value = best_trajectory_value(mdp, on_host(FacilityLocation(6, 4), similarity), 3)
    most = 0.0
    for actions in itertools.product(range(5), repeat=3):
        path = [1]
        for a in actions:
            path.append(int(np.argmax(P[path[-1], a])))
        most = max(most, similarity[path].max(0).sum())
    assert value == pytest.approx(most, abs=1e-12)


def test_best_and_greedy_subsets_by_hand():
    """Greedy takes the large set first and then cannot cover everything with one more."""
    covers = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 1]], bool)
    with jax.enable_x64(True):
        f = coverage(covers, np.ones(6))
        assert best(f, range(3), 2) == ((1, 2), 6.0)
        assert greedy(f, range(3), 2) == ((0, 1), 5.0)
        assert best(f, range(3), 0) == ((), 0.0)


def test_refuses_single_precision_and_a_missing_horizon():
    with pytest.raises(UsageError, match="enable_x64"):
        on_host(FacilityLocation(2), jnp.eye(2))((0,))
    with pytest.raises(UsageError, match="horizon"):
        best_trajectory_value(grid(2, 2, 0), lambda items: 0.0)
