import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.tree import flatten_time, strong, tree_broadcast, tree_stack, tree_take, tree_where


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


def test_strong_keeps_dtypes_and_values_and_loses_weak_types():
    key = jax.random.key(0)
    out = strong({"weak": jnp.asarray(2.0), "number": 3, "half": jnp.ones(2, jnp.bfloat16), "key": key})
    assert not any(x.weak_type for name, x in out.items() if name != "key")
    assert [str(out[name].dtype) for name in ("weak", "number", "half")] == ["float32", "int32", "bfloat16"]
    assert (out["weak"], out["number"]) == (2, 3) and out["key"] == key
