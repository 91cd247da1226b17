import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.tree import clip_norm, flatten_time, tree_broadcast, tree_stack, tree_take, tree_where


def test_tree_where_selects_rows_of_leaves_of_any_rank_and_of_keys():
    mask = jnp.array([True, False])
    a = {"x": jnp.ones((2, 3, 4)), "y": jnp.array([1, 2]), "k": jax.random.split(jax.random.key(0), 2)}
    b = {"x": jnp.zeros((2, 3, 4)), "y": jnp.array([-1, -2]), "k": jax.random.split(jax.random.key(1), 2)}
    out = tree_where(mask, a, b)
    np.testing.assert_array_equal(out["x"], [np.ones((3, 4)), np.zeros((3, 4))])
    np.testing.assert_array_equal(out["y"], [1, -2])
    assert (out["k"][0] == a["k"][0]) and (out["k"][1] == b["k"][1])
    np.testing.assert_array_equal(tree_where(jnp.asarray(False), a, b)["x"], b["x"])


def test_tree_where_hides_what_is_not_a_number():
    out = tree_where(jnp.array([True, False]), jnp.array([1.0, jnp.nan]), jnp.array([jnp.nan, 2.0]))
    np.testing.assert_array_equal(out, [1.0, 2.0])


def test_stack_take_and_broadcast():
    trees = [{"x": jnp.array([i, 10 * i]), "y": jnp.asarray(float(i))} for i in range(3)]
    stacked = tree_stack(trees)
    np.testing.assert_array_equal(stacked["x"], [[0, 0], [1, 10], [2, 20]])
    for i in range(3):
        np.testing.assert_array_equal(tree_take(stacked, i)["x"], trees[i]["x"])
        assert tree_take(stacked, i)["y"] == i
    many = tree_broadcast(trees[1], 4)
    np.testing.assert_array_equal(many["x"], [[1, 10]] * 4)
    np.testing.assert_array_equal(many["y"], [1.0] * 4)
    assert tree_broadcast((), 4) == ()


def test_flatten_time_puts_step_t_of_environment_i_in_row_t_n_plus_i():
    x = jnp.arange(24).reshape(2, 3, 4)
    out = flatten_time({"x": x, "y": x[..., 0]})
    np.testing.assert_array_equal(out["x"][1 * 3 + 2], x[1, 2])
    assert out["x"].shape == (6, 4) and out["y"].shape == (6,)


@pytest.mark.parametrize(("limit", "factor"), [(2.5, 0.5), (5.0, 1.0), (100.0, 1.0)])
def test_clip_norm_shrinks_all_leaves_by_one_factor(limit, factor):
    tree = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}
    clipped, norm = clip_norm(tree, limit)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [3.0 * factor, 0.0], rtol=1e-6)
    np.testing.assert_allclose(clipped["b"], [[4.0 * factor]], rtol=1e-6)
    zero, norm = clip_norm({"a": jnp.zeros(2)}, limit)
    assert norm == 0 and not zero["a"].any()
