"""Fruit Tree against MO-Gymnasium in every state, its published leaves, and its tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.catalogue import make
from jaxrl.envs.grids.fruit_tree import FruitState, FruitTree

SUMS = {5: 644.61482337, 6: 1301.66757944, 7: 2595.64218694}


def inner_nodes(depth):
    """Rows `(row, place, action)` of every inner node with both actions."""
    return [(r, i, a) for r in range(depth) for i in range(2**r) for a in (0, 1)]


def steps(env, rows):
    """`(state, Step)` of numpy leaves, one entry per row."""
    row, place, action = np.array(rows, np.int32).T
    step = jax.jit(jax.vmap(env.step, (None, 0, 0, None)))
    found = step(jax.random.key(0), FruitState(row, place), action, env.default_params())
    return jax.tree.map(np.asarray, found)


@pytest.mark.parametrize("depth", [5, 6, 7])
def test_every_node_equals_mo_gymnasium(depth):
    host = pytest.importorskip("mo_gymnasium").make("fruit-tree-v0", depth=depth).unwrapped
    env, rows = FruitTree(depth), inner_nodes(depth)
    _, out = steps(env, rows)
    assert host.reset()[0].tolist() == env.reset(jax.random.key(0), env.default_params())[1].tolist()
    for i, (row, place, action) in enumerate(rows):
        host.current_state, host.terminal = np.array([row, place], np.int32), False
        obs, reward, terminated, _, _ = host.step(action)
        assert out.obs[i].tolist() == obs.tolist()
        np.testing.assert_array_equal(out.reward[i], reward)
        assert out.terminated[i] == terminated
    np.testing.assert_array_equal(env.front(0.99), host.pareto_front(0.99))


def test_one_walk_down_the_tree_of_depth_six():
    env, key = make("FruitTree-6"), jax.random.key(0)
    params = env.default_params()
    state, _ = env.reset(key, params)
    step, seen, rewards = jax.jit(env.step), [], []
    for action in (0, 1, 0, 1, 1, 0):
        state, out = step(key, state, jnp.int32(action), params)
        seen.append(tuple(out.obs.tolist()))
        rewards.append(np.asarray(out.reward))
    assert seen == [(1, 0), (2, 1), (3, 2), (4, 5), (5, 11), (6, 22)]
    assert out.terminated and not np.any(rewards[:-1])
    leaf = [1.74241088, 2.32320373, 9.17490044, 2.28211094, 1.47515927, 0.06168781]
    np.testing.assert_array_equal(rewards[-1], np.float32(leaf))


@pytest.mark.parametrize("depth", SUMS)
def test_leaves_lie_on_the_sphere_of_radius_ten_and_dominate_no_other(depth):
    leaves = FruitTree(depth).front(1.0)
    assert leaves.shape == (2**depth, 6)
    assert leaves.sum() == pytest.approx(SUMS[depth], abs=1e-8)
    np.testing.assert_allclose(np.linalg.norm(leaves, axis=1), 10, atol=1e-8)
    dominates = (leaves[:, None] >= leaves[None]).all(-1)
    assert dominates.sum() == len(leaves)  # each itself alone


@pytest.mark.parametrize("depth", SUMS)
def test_tables_hold_every_step(depth):
    env, rows = FruitTree(depth), inner_nodes(depth)
    params = env.default_params()
    mdp = jax.tree.map(np.asarray, jax.jit(env.to_tabular)(params))
    after, out = steps(env, rows)
    for i, (row, place, action) in enumerate(rows):
        s = 2**row - 1 + place
        target = 2**depth - 1 if out.terminated[i] else 2 ** after.row[i] - 1 + after.place[i]
        assert mdp.P[s, action].argmax() == target and mdp.P[s, action].max() == 1
        np.testing.assert_array_equal(mdp.R[s, action], out.reward[i])
    index = jnp.arange(2**depth - 1)
    states = jax.vmap(lambda i: env.state_at(params, i))(index)
    np.testing.assert_array_equal(env.state_index(params, states), index)


def test_picture_shows_the_way_from_the_root():
    env = FruitTree(5)
    picture = np.asarray(env.render(FruitState(jnp.int32(2), jnp.int32(1)), env.default_params()))
    assert picture.shape == (96, 512, 3)
    at = [picture[16 * row + 8, x].tolist() for row, x in ((0, 256), (1, 128), (1, 384), (2, 192), (2, 64))]
    path, other = [45, 72, 101], [190, 195, 200]
    assert at == [path, path, other, [200, 50, 50], other]


def test_a_depth_without_published_leaves_is_refused():
    with pytest.raises(UsageError, match=r"FruitTree\.depth: must be one of 5, 6, 7, got 4"):
        FruitTree(4)
