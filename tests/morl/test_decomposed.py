"""Decomposition: scalarised directions, adapted weights, neighbours and what an exchange moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.morl import archive as archives
from jaxrl.morl import decomposed
from jaxrl.morl.archive import Entries
from jaxrl.morl.decomposed import adapted_weights, neighbours, tchebycheff_weights
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, WEIGHTS, scalarised_hyper


def archive_of(points):
    """An archive of policies without parameters."""
    points = jnp.asarray(points, jnp.float32)
    n, m = points.shape
    zeros = jnp.zeros(n, jnp.int32)
    new = Entries({}, points, points, jnp.ones(n), jnp.full((n, m), -jnp.inf), zeros, zeros, zeros)
    return archives.insert(archives.empty({}, m, n + 2), new, jnp.full(m, -10.0), jnp.ones(n, bool))


def test_worst_gap_is_the_direction_of_the_steepest_ascent():
    w, values, utopia = (
        jnp.asarray([0.2, 0.5, 0.3]),
        jnp.asarray([1.0, 2.0, 0.0]),
        jnp.asarray([3.0, 3.0, 3.0]),
    )
    u = lambda v: -jnp.max(w * (utopia - v))  # noqa: E731
    gradient = jax.grad(u)(values)
    np.testing.assert_allclose(tchebycheff_weights(w, values, utopia), gradient / jnp.linalg.norm(gradient))


def test_weights_move_away_from_the_nearest_member_that_is_not_the_policy_itself():
    archive = archive_of([[4.0, 1.0], [3.0, 2.0], [0.0, 6.0]])
    w = jnp.asarray([0.5, 0.5])
    # the policy is the second member, whose neighbour is the first one: worse there in the first objective
    moved = adapted_weights(w, jnp.asarray([3.0, 2.0]), archive, 1.1, 0.1)
    np.testing.assert_allclose(moved, np.array([1 / 1.1, 1.1]) / (1.1 + 1 / 1.1), rtol=1e-6)
    # nothing is farther away than the distance asked for
    np.testing.assert_allclose(adapted_weights(w, jnp.asarray([3.0, 2.0]), archive, 1.1, 50.0), w)


def test_neighbours_are_the_nearest_other_rows():
    np.testing.assert_array_equal(neighbours(jnp.asarray([[1.0, 0.0], [0.8, 0.2], [0.1, 0.9]])), [1, 0, 1])
    np.testing.assert_array_equal(neighbours(jnp.asarray([[1.0, 0.0]])), [0])


@pytest.fixture(scope="module")
def exchanged():
    """A state before and after an exchange with transfer, where one learner is far better for all weights."""
    config = decomposed.Config(LEARNER, 8, EXACT, transfer=True, exchange=1)
    algorithm = decomposed.make(config, ENV)
    first = scalarised_hyper()
    # no step of PPO: what changes is what the exchange moves
    hyper = decomposed.Hyper(first.weights, first.reference, first.learner.replace(lr=0.0), gamma=0.9)
    hyper = jax.tree.map(jnp.asarray, hyper)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, MDP)
    return state, *jax.jit(algorithm.step)(state, hyper, MDP)


def test_learners_take_over_a_neighbour_where_it_serves_their_weights_better(exchanged):
    before, after, metrics = exchanged
    own = np.asarray(after.archive.entries.returns[np.asarray(after.archive.valid)])
    utilities = np.asarray((after.values * after.weights).sum(-1))
    leaves = zip(jax.tree.leaves(before.learners.params), jax.tree.leaves(after.learners.params), strict=True)
    moved = np.zeros(len(WEIGHTS), bool)
    for a, b in leaves:
        moved |= (np.asarray(a) != np.asarray(b)).reshape(len(WEIGHTS), -1).any(-1)
    assert int(metrics["transferred"]) == moved.sum() > 0
    np.testing.assert_allclose(metrics["utility"], utilities, rtol=1e-6)
    # what a learner holds after the exchange is a return that was found
    near = np.abs(np.asarray(after.values)[:, None] - own[None]).max(-1).min(-1)
    assert np.all(near[moved] < 1e-5)
