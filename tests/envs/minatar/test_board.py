"""Cells, objects in lanes, and pictures of the board."""

import jax.numpy as jnp
import numpy as np

from jaxrl.envs.minatar import board


def test_a_cell_off_the_board_is_empty():
    assert np.argwhere(board.cell(3, 7)).tolist() == [[3, 7]]
    assert not np.any(board.cell(3, -1)) and not np.any(board.cell(10, 2))


def test_objects_lie_in_rows_one_to_eight():
    col, shown = jnp.array([0, 9, 5, -1, 4, 4, 4, 2]), jnp.array([1, 1, 0, 1, 1, 1, 1, 1], bool)
    placed = np.argwhere(board.cells(col, shown)).tolist()
    assert placed == [[1, 0], [2, 9], [5, 4], [6, 4], [7, 4], [8, 2]]


def test_later_channels_are_drawn_over_earlier_ones():
    both = board.observation((board.cell(0, 1) | board.cell(2, 2), board.cell(2, 2)), ())
    assert both.shape == (10, 10, 2) and both.dtype == jnp.float32
    picture = np.asarray(board.picture(both, ((9, 9, 9), (200, 0, 0))))
    assert picture.shape == (160, 160, 3)
    assert picture[0, 16].tolist() == [9, 9, 9] and picture[47, 47].tolist() == [200, 0, 0]
