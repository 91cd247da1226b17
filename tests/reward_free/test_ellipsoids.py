"""Estimates in several ellipsoids at once."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.reward_free.ellipsoids import move_inside, violations
from jaxrl.reward_free.regression import VTRState


def two_balls(distance):
    """Unit metrics around (0, 0) and (distance, 0)."""
    gram = jnp.tile(jnp.eye(2)[None, None], (2, 1, 1, 1))
    return VTRState(gram, jnp.array([[[0.0, 0.0]], [[distance, 0.0]]]), gram, jnp.zeros(2))


def test_points_outside_are_moved_into_both_and_counted():
    with jax.enable_x64(True):
        state = two_balls(1.5)
        theta, before = jax.jit(move_inside)(jnp.array([[0.75, 3.0]]), state, jnp.asarray(1.0))
        assert before == 2 and violations(theta, state, jnp.asarray(1.0)) == 0
        inside = jnp.array([[0.75, 0.1]])
        same, before = move_inside(inside, state, jnp.asarray(1.0))
        assert before == 0
        np.testing.assert_array_equal(same, inside)


def test_ellipsoids_that_do_not_meet_leave_violations():
    with jax.enable_x64(True):
        state = two_balls(5.0)
        theta, before = move_inside(jnp.array([[0.0, 0.0]]), state, jnp.asarray(1.0))
        assert before == 1 and violations(theta, state, jnp.asarray(1.0)) >= 1


def test_projections_are_in_the_metric_of_the_ellipsoid():
    with jax.enable_x64(True):
        gram = jnp.diag(jnp.array([4.0, 1.0]))[None, None]
        state = VTRState(
            gram, jnp.zeros((1, 1, 2)), jnp.diag(jnp.array([0.25, 1.0]))[None, None], jnp.zeros(1)
        )
        theta, _ = move_inside(jnp.array([[1.0, 0.0]]), state, jnp.asarray(1.0))
        np.testing.assert_allclose(theta, [[0.5, 0.0]], rtol=1e-12)
