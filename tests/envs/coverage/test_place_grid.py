"""Moves of the grid against a loop, and grids that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.coverage_grid import two_rooms
from jaxrl.envs.coverage.place_grid import PlaceGrid, PlaceState

FREE = {(r, c) for r, row in enumerate(maps.TWO_ROOMS) for c, cell in enumerate(row) if cell == "."}


def test_moves_against_a_loop():
    """Every cell and action of two rooms; moves into walls and off the grid stay; slips by frequency."""
    grid = two_rooms().env.env
    params = grid.default_params()
    deltas = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)]
    cells, actions = np.divmod(np.arange(98 * 5), 5)
    step = jax.jit(jax.vmap(grid.step_u, (0, 0, 0, None)))
    still = jnp.full((490, 2), 0.5)
    after, out = step(PlaceState(jnp.asarray(cells, jnp.int32)), jnp.asarray(actions), still, params)
    for cell, action, end in zip(cells, actions, np.asarray(after.cell), strict=True):
        r, c = divmod(cell, 14)
        if (r, c) in FREE:
            to = (r + deltas[action][0], c + deltas[action][1])
            assert divmod(end, 14) == (to if to in FREE else (r, c))
    assert not np.asarray(out.terminated).any() and not np.asarray(out.reward).any()
    # below the slip probability the second uniform chooses the action
    slippery = params._replace(slip=jnp.asarray(0.75))
    u = jnp.stack([jnp.full(490, 0.5), jnp.asarray((cells * 7 % 5) / 5 + 0.1)], axis=1)
    slipped, _ = step(PlaceState(jnp.asarray(cells, jnp.int32)), jnp.asarray(actions), u, slippery)
    np.testing.assert_array_equal(slipped.cell, np.asarray(after.cell).reshape(98, 5)[cells, cells * 7 % 5])
    mdp = grid.to_tabular(slippery)
    np.testing.assert_allclose(np.asarray(mdp.P).sum(-1), 1, atol=1e-6)
    assert float(mdp.P[34, 1, 35]) == pytest.approx(0.25 + 0.75 / 5)
    assert int(grid.state_index(params, grid.state_at(params, 40))) == 40
    picture = np.asarray(grid.render(PlaceState(jnp.int32(34)), params))
    assert picture.shape == (56, 112, 3) and picture[16, 48].tolist() == [30, 100, 220]
    assert picture[0, 40].tolist() != picture[0, 0].tolist()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: PlaceGrid(0, 3), "PlaceGrid.rows"),
        (lambda: PlaceGrid(2, 2, start=4), "PlaceGrid.start: cell 4 is outside"),
        (lambda: PlaceGrid(1, 2, start=1, blocked=(".#",)), "PlaceGrid.start: cell 1 is blocked"),
        (lambda: PlaceGrid(1, 2, slip=1.5), "PlaceGrid.slip"),
        (lambda: PlaceGrid(1, 2, slip=float("nan")), "PlaceGrid.slip"),
        (lambda: PlaceGrid(1, 2, blocked=("...",)), "PlaceGrid.blocked"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
