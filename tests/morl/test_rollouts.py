"""Rollouts of a page: they are those of the policies."""

import jax
import numpy as np

from experiments.morl import building, minecart, rollouts
from experiments.morl.episodic import plan
from experiments.morl.settings import finite
from jaxrl.baselines.ppo import networks
from jaxrl.rollout.normalise import RunningMoments


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


def test_a_cart_that_only_accelerates_drives_along_the_diagonal_and_into_the_corner():
    own = plan(minecart.PRESETS["smoke"], "minecart-deterministic")
    found = rollouts.of_task(own, constant(own, [0, 0, 0, 9, 0, 0]))
    (path,) = found.paths
    assert found.width == found.height and found.background.startswith("data:image/png")
    np.testing.assert_allclose(path[0], [0.08, 0.08], atol=1e-6)
    np.testing.assert_allclose(path[:, 0], path[:, 1], atol=1e-5)
    np.testing.assert_allclose(path[-1], [1.08, 1.08], atol=1e-5)
    assert np.all(np.diff(path[:, 0]) >= 0)


def test_a_building_without_power_shows_its_first_temperatures():
    own = plan(building.PRESETS["smoke"], "building-3")
    found = rollouts.of_task(own, constant(own, [0.0] * 23))
    (values,) = found.values
    assert values.shape == (96, 6) and [len(names) for _, names in found.panels] == [3, 3]
    np.testing.assert_array_equal(values[:, 3:], 0)
    # the published sum of distances from 20 degrees in the first hour: 460 - 20 x 16.6244717
    below = (20 - values[0, :3]) @ np.array([9, 7, 7])
    np.testing.assert_allclose(below, 460 - 20 * 16.6244717, atol=1e-3)


def constant(own, mean):
    """One policy, leaves [1, ...], whose most likely action never changes: only its last bias is not 0."""
    nets = networks(own.learner, own.env)
    shapes = jax.eval_shape(nets.init, jax.random.key(0))
    params = jax.tree.map(lambda x: np.zeros((1, *x.shape), np.float32), shapes)
    last = [x for x in jax.tree.leaves(params["actor"]) if x.shape == (1, len(mean))][-1]
    last[:] = mean
    n = own.env.observation_space.shape[0]
    moments = RunningMoments.zeros(jax.ShapeDtypeStruct((n,), np.float32))
    return {"params": params, "moments": jax.tree.map(lambda x: np.asarray(x)[None], moments), "scale": ()}
