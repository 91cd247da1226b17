"""Moves, bounds and pictures that grids with vector rewards share."""

import jax.numpy as jnp
import numpy as np

from jaxrl.envs.grids.moves import TREASURE, WATER, after_move, draw_agent, is_inside


def test_actions_are_up_down_left_right():
    ends = [tuple(int(x) for x in after_move(jnp.int32(4), jnp.int32(7), jnp.int32(a))) for a in range(4)]
    assert ends == [(3, 7), (5, 7), (4, 6), (4, 8)]


def test_the_inside_of_a_map_has_its_edges():
    rows, cols = jnp.meshgrid(jnp.arange(-1, 4), jnp.arange(-1, 5), indexing="ij")
    inside = np.zeros((5, 6), bool)
    inside[1:4, 1:5] = True
    np.testing.assert_array_equal(is_inside(rows, cols, (3, 4)), inside)


def test_the_agent_is_one_cell_of_the_picture():
    background = np.full((3, 3, 3), WATER, np.uint8)
    background[0, 0] = TREASURE
    picture = np.asarray(draw_agent(background, jnp.int32(1), jnp.int32(2)))
    assert picture.shape == (48, 48, 3) and picture.dtype == np.uint8
    changed = (picture != background.repeat(16, 0).repeat(16, 1)).any(-1)
    assert changed[16:32, 32:48].all() and changed.sum() == 256
