import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.spaces import Box, Discrete, contains, is_space, sample

NESTED = {"a": Discrete(3), "b": (Box(-1.0, (1.0, 2.0), (2,)), Discrete(2))}
KEYS = jax.random.split(jax.random.key(0), 2000)


def test_discrete_samples_are_uniform_and_contained():
    space = Discrete(5)
    x = jax.vmap(space.sample)(KEYS)
    assert x.dtype == jnp.int32
    counts = np.bincount(x, minlength=5)
    # chi-square with 4 degrees of freedom: 18.5 has probability 1e-3
    assert ((counts - 400) ** 2 / 400).sum() < 18.5
    assert jax.vmap(space.contains)(x).all()


@pytest.mark.parametrize("x", [-1, 5, 1.0, [1], np.uint8(7)], ids=str)
def test_discrete_rejects(x):
    assert not Discrete(5).contains(jnp.asarray(x))


def test_box_samples_fill_their_bounds():
    space = Box((-1.0, 0.0), (1.0, 10.0), (2,))
    x = np.asarray(jax.vmap(space.sample)(KEYS))
    assert x.dtype == np.float32
    assert jax.vmap(space.contains)(x).all()
    np.testing.assert_allclose(x.min(0), [-1.0, 0.0], atol=0.05)
    np.testing.assert_allclose(x.max(0), [1.0, 10.0], atol=0.05)


def test_integer_boxes_reach_both_bounds():
    space = Box(0, 3, (2,), np.uint8)
    x = np.asarray(jax.vmap(space.sample)(KEYS))
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(np.unique(x), [0, 1, 2, 3])
    assert jax.vmap(space.contains)(jnp.asarray(x)).all()
    assert not space.contains(jnp.array([4, 0], jnp.uint8))


def test_unbounded_boxes_sample_finite_numbers():
    space = Box(-np.inf, (np.inf, 0.0), (2,))
    x = jax.vmap(space.sample)(KEYS)
    assert jnp.isfinite(x).all() and (x[:, 1] <= 0).all() and jnp.abs(x).max() <= 1e3
    assert jax.vmap(space.contains)(x).all()


@pytest.mark.parametrize("x", [[0.0, 2.1], [-1.1, 0.0], [np.nan, 0.0], [0.0], 0.0], ids=str)
def test_box_rejects(x):
    assert not Box(-1.0, (1.0, 2.0), (2,)).contains(jnp.asarray(x))


def test_bounds_are_inside():
    space = Box(-1.0, (1.0, 2.0), (2,))
    assert space.contains(jnp.array([1.0, 2.0])) and space.contains(jnp.array([-1.0, -1.0]))


def test_nested_spaces_sample_independent_parts_and_check_structure():
    x = jax.vmap(lambda k: sample(NESTED, k))(KEYS)
    assert jax.vmap(lambda y: contains(NESTED, y))(x).all()
    assert abs(np.corrcoef(x["a"], x["b"][1])[0, 1]) < 0.08
    one = sample(NESTED, KEYS[0])
    assert contains(NESTED, one)
    assert not contains(NESTED, {"a": one["a"]})
    assert not contains(NESTED, {"a": one["a"], "b": (one["b"][0], jnp.int32(2))})
    np.testing.assert_array_equal(sample(Discrete(9), KEYS[0]), Discrete(9).sample(KEYS[0]))


def test_spaces_are_values():
    """Equal by content and hashable, so that environments are; array bounds become tuples."""
    assert Box(np.zeros(2), np.ones(2), (2,)) == Box((0.0, 0.0), (1.0, 1.0), (2,))
    assert len({Box(0.0, 1.0, ()), Box(0.0, 1.0, ()), Discrete(2), Discrete(2)}) == 2
    assert is_space(Discrete(2)) and is_space(Box(0.0, 1.0, ())) and not is_space((Discrete(2),))
    assert Discrete(2).shape == () and Discrete(2).dtype == np.int32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Discrete(0), "Discrete.n: must be >= 1, got 0"),
        (lambda: Box(0.0, (1.0, 2.0), (3,)), "Box.high: shape (2,) is neither () nor (3,)"),
        (lambda: Box(np.zeros((3, 1)), 1.0, (3,)), "Box.low: shape (3, 1) is neither () nor (3,)"),
        (lambda: Box((0.0, 2.0), 1.0, (2,)), "Box.low: must not exceed high"),
        (lambda: Box(np.nan, 1.0, ()), "Box.low: must not exceed high"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
