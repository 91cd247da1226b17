"""Ways over a map: they are those of the policies."""

import numpy as np

from experiments.morl import rollouts
from experiments.morl.settings import finite


def test_a_policy_that_is_certain_walks_to_its_treasure_and_stops():
    table = np.zeros((1, 122, 4))
    table[:, :, 1] = 1
    table[:, :8] = [0, 0, 0, 1]
    found = rollouts.on_map(finite("dst-concave"), table)
    (path,) = found.paths
    assert (found.width, found.height) == (11.0, 11.0)
    assert len(path) == 18  # the start and 17 steps
    np.testing.assert_array_equal(path[0], [0.5, 0.5])
    np.testing.assert_array_equal(path[-1], [8.5, 9.5])
    assert found.background.startswith("data:image/png")


def test_a_policy_that_never_ends_walks_to_the_time_limit():
    table = np.zeros((1, 122, 4))
    table[:, :, 0] = 1
    (path,) = rollouts.on_map(finite("dst-concave"), table).paths
    assert len(path) == 101


def test_a_tree_has_no_map():
    found = finite("fruit-tree-5")
    assert rollouts.on_map(found, np.full((1, found.mdp.n_states, 2), 0.5)) is None
