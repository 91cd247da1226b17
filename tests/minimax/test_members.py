"""Members of a study: every entry, in order, and every pair of rows and columns."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.minimax import members


def test_members_are_those_of_a_plain_loop():
    x, y = jnp.array([1.0, 2.0, 3.0]), jnp.array([10.0, 20.0])
    found = jax.jit(members.over(lambda own: {"sum": own[0] + own[1], "twice": 2 * own[0]}))((x, x + 1))
    np.testing.assert_allclose(found["sum"], [3.0, 5.0, 7.0])
    np.testing.assert_allclose(found["twice"], [2.0, 4.0, 6.0])
    pairs = jax.jit(members.table(lambda row, column: row - column[0] * column[1]))(x, (y, y + 1))
    np.testing.assert_allclose(pairs, [[a - b * (b + 1) for b in (10.0, 20.0)] for a in (1.0, 2.0, 3.0)])
