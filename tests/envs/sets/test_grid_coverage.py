"""Footprints against the published tables, coverage of a grid by a known path, and weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage import maps
from jaxrl.envs.sets.grid_coverage import GridCoverage, footprint_table

FREE = {(r, c) for r, row in enumerate(maps.TWO_ROOMS) for c, cell in enumerate(row) if cell == "."}


def test_footprints_of_two_rooms():
    """68 free cells, and the rows of the published table."""
    table = footprint_table(7, 14, "quad", maps.TWO_ROOMS)
    of = {divmod(v, 14): {divmod(int(u), 14) for u in row if u < 98} for v, row in enumerate(table)}
    assert len(FREE) == 68 and set().union(*(of[x] for x in FREE)) == FREE
    assert of[0, 3] == {(0, 3), (1, 3)} and of[1, 3] == {(1, 3), (2, 3), (2, 4)}
    assert of[3, 3] == {(3, 3), (3, 4), (4, 3)} and of[3, 9] == {(3, 9), (3, 10), (4, 10)}
    assert all(of[3, c] == {(3, c), (3, c + 1)} for c in range(4, 9))
    assert all(of[r, 13] == {(r, 13), (r + 1, 13)} for r in range(6))
    assert of[6, 3] == {(6, 3)} and of[6, 13] == {(6, 13)}
    block = footprint_table(30, 30, "block")[0]
    assert sorted(block) == [0, 1, 2, 30, 31, 32, 60, 61, 62]
    assert sorted(footprint_table(4, 4, "plus")[0]) == [0, 1, 4, 16, 16]


def test_boustrophedon_covers_the_most_that_is_possible():
    """2 (states + 1) on the open grid, the most that any path covers."""
    F = GridCoverage(30, 30)
    rows = [[2 * i * 30 + c for c in (range(29) if i % 2 == 0 else range(28, -1, -1))] for i in range(15)]
    path, at = [], rows[0][0]
    for row in rows:
        while at // 30 < row[0] // 30:  # down to the row after next at the end of a row
            at += 30
            path.append(at)
        path += row[1:] if path and path[-1] == row[0] else row
        at = row[-1]
    stat, total = F.init(params := F.default_params()), 0.0
    add = jax.jit(partial(F.add, params))
    for n, v in enumerate(path[:80], 1):
        stat, gain = add(stat, jnp.int32(v))
        total += float(gain)
        assert total == 2 * (n + 1)


def test_weights_may_be_any_row_of_numbers():
    rows = ((1, 2.0), [1, 2.0], np.array([1.0, 2.0]))
    assert len({GridCoverage(1, 2, weights=w) for w in rows}) == 1
    np.testing.assert_array_equal(GridCoverage(1, 2, weights=rows[0]).weight_map(), [[1, 2]])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: GridCoverage(2, 2, "disc"), "GridCoverage.footprint"),
        (lambda: GridCoverage(2, 2, weights="random"), "GridCoverage.weights: must be one of"),
        (lambda: GridCoverage(2, 2, weights="gorilla"), "30 x 30"),
        (lambda: GridCoverage(2, 2, weights=(1.0, 2.0)), "2 numbers for 4 cells"),
        (lambda: GridCoverage(1, 2, weights=(1.0, -2.0)), r"GridCoverage.weights"),
        (lambda: GridCoverage(1, 2, weights=(1.0, np.nan)), r"GridCoverage.weights"),
        (
            lambda: GridCoverage(1, 2, weights=(1.0, 1e39)).default_params(),
            "GridCoverage.weights: .* not finite",
        ),
        (lambda: GridCoverage(1, 2, seed=-1), "GridCoverage.seed"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
