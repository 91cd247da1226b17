"""Gradient steps with traced hyper-parameters, against optax with fixed ones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.core.descent import clip_norm, descend, root

TREE = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}


@pytest.mark.parametrize(
    ("limit", "factor"), [(2.5, 0.5), (5.0, 1.0), (100.0, 1.0), (np.inf, 1.0), (None, 1.0), (0.0, 0.0)]
)
def test_clip_norm_shrinks_all_leaves_by_one_factor(limit, factor):
    clipped, norm = clip_norm(TREE, limit)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [3.0 * factor, 0.0], rtol=1e-6)
    np.testing.assert_allclose(clipped["b"], [[4.0 * factor]], rtol=1e-6)
    zero, norm = clip_norm({"a": jnp.zeros(2)}, limit)
    assert norm == 0
    np.testing.assert_array_equal(zero["a"], [0.0, 0.0])


def test_clip_norm_keeps_what_is_not_a_number_visible():
    clipped, norm = clip_norm({"a": jnp.array([jnp.nan, 1.0])}, 1.0)
    assert np.isnan(norm) and np.isnan(clipped["a"]).all()


@pytest.mark.parametrize("limit", [0.5, 100.0, np.inf])
def test_clip_norm_has_a_gradient_in_the_limit(limit):
    slope = jax.grad(lambda limit: clip_norm({"a": jnp.array([3.0, 4.0])}, limit)[0]["a"].sum())(limit)
    np.testing.assert_allclose(slope, 7.0 / 5.0 if limit < 5 else 0.0, rtol=1e-6)


def test_descend_is_the_optimiser_of_optax_with_that_learning_rate():
    ours, theirs = (TREE, optax.scale_by_adam().init(TREE)), (TREE, optax.adam(0.1).init(TREE))
    step = jax.jit(lambda params, state, lr: descend(optax.scale_by_adam(), params, state, params, lr))
    for _ in range(3):
        ours = step(*ours, 0.1)
        updates, state = optax.adam(0.1).update(theirs[0], theirs[1])
        theirs = optax.apply_updates(theirs[0], updates), state
    for a, b in zip(jax.tree.leaves(ours[0]), jax.tree.leaves(theirs[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_root_has_slope_zero_at_zero_and_is_the_root_elsewhere():
    x = jnp.array([0.0, 1e-30, 0.25, 4.0, jnp.inf])
    np.testing.assert_array_equal(root(x), jnp.sqrt(x))
    slope = jax.grad(lambda x: root(x)[:4].sum())(x)
    np.testing.assert_allclose(slope, [0.0, 0.5e15, 1.0, 0.25, 0.0], rtol=1e-6)
    assert np.isnan(root(jnp.nan))


@pytest.mark.parametrize("limit", [0.5, np.inf, None])
def test_one_differentiates_through_clip_norm_where_the_gradient_is_zero(limit):
    def clipped(scale):
        return clip_norm(jax.tree.map(lambda x: scale * x, TREE), limit)[0]

    slope = jax.jacobian(clipped)(0.0)  # nothing is shrunk near zero
    np.testing.assert_array_equal(slope["a"], TREE["a"])
    np.testing.assert_array_equal(slope["b"], TREE["b"])
