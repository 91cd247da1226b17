"""Counts: what an episode adds, and the kernels of pairs with and without visits."""

import jax.numpy as jnp
import numpy as np

from jaxrl.reward_free.tabular.counts import frequencies, kernel, no_counts, of_stage, recorded, visits

STATES, ACTIONS = jnp.array([0, 1, 1, 2]), jnp.array([1, 0, 0])


def test_an_episode_adds_its_transitions_to_pooled_counts():
    counts = recorded(no_counts("pooled", 3, 3, 2), STATES, ACTIONS, jnp.asarray(3))
    expected = np.zeros((1, 3, 2, 3), int)
    expected[0, 0, 1, 1] = expected[0, 1, 0, 1] = expected[0, 1, 0, 2] = 1
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(visits(counts)[0], [[0, 1], [2, 0], [0, 0]])


def test_stages_have_counts_of_their_own_and_stages_not_played_none():
    counts = recorded(no_counts("per stage", 3, 3, 2), STATES, ACTIONS, jnp.asarray(2))
    expected = np.zeros((3, 3, 2, 3), int)
    expected[0, 0, 1, 1] = expected[1, 1, 0, 1] = 1
    np.testing.assert_array_equal(counts, expected)


def test_rows_without_visits_are_uniform_in_the_kernel_and_zero_in_the_frequencies():
    counts = recorded(no_counts("pooled", 3, 3, 2), STATES, ACTIONS, jnp.asarray(3))
    np.testing.assert_allclose(kernel(counts)[0, 1, 0], [0, 0.5, 0.5])
    np.testing.assert_allclose(kernel(counts)[0, 2, 1], 1 / 3, rtol=1e-6)
    np.testing.assert_array_equal(frequencies(counts)[0, 2, 1], 0)
    np.testing.assert_allclose(kernel(counts).sum(-1), 1, rtol=1e-6)


def test_a_pooled_table_serves_every_stage():
    table = jnp.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(of_stage(table, jnp.asarray(1)), [2, 3])
    np.testing.assert_array_equal(of_stage(table[:1], jnp.asarray(2)), [0, 1])
