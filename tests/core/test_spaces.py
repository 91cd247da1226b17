"""Samples of spaces, what they contain, and what they refuse."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
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


@pytest.mark.parametrize(
    ("low", "high", "mean", "std"),
    [
        (-np.inf, np.inf, 0.0, 1.0),
        (2000.0, np.inf, 2001.0, 1.0),
        (-np.inf, -5.0, -6.0, 1.0),
        (-3.0, 5000.0, 2498.5, 5003 / 12**0.5),
        (1.5, 1.5, 1.5, 0.0),
        (-3e38, 3.4e38, 2e37, 6.4e38 / 12**0.5),
    ],
)
def test_boxes_sample_as_gymnasium_does(low, high, mean, std):
    """Uniform, exponential beyond one bound, normal without; means within five standard errors."""
    space = Box(low, high, ())
    x = jax.vmap(space.sample)(KEYS)
    assert jax.vmap(space.contains)(x).all() and x.dtype == jnp.float32
    x = np.asarray(x, np.float64)
    assert abs(x.mean() - mean) <= 5 * std / 2000**0.5
    np.testing.assert_allclose(x.std(), std, rtol=0.15)


def test_each_coordinate_follows_its_own_bounds():
    space = Box((0.0, -np.inf, 100.0), (1.0, np.inf, np.inf), (3,))
    x = np.asarray(jax.vmap(space.sample)(KEYS))
    np.testing.assert_allclose(x.mean(0), [0.5, 0.0, 101.0], atol=0.12)
    assert np.abs(np.corrcoef(x.T) - np.eye(3)).max() < 0.12


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (-(2**31), 2**31 - 1, np.int32),
        (0, 2**31 - 1, np.int32),
        (-(2**31), 2**30, np.int32),
        (0, 255, np.uint8),
        (5, np.inf, np.int32),
        (-np.inf, np.inf, np.int32),
    ],
)
def test_wide_and_unbounded_integer_boxes(low, high, dtype):
    space = Box(low, high, (), dtype)
    x = jax.vmap(space.sample)(KEYS)
    assert x.dtype == dtype and jax.vmap(space.contains)(x).all()
    if np.isfinite(high):
        # the quartiles of 2000 uniform draws, within five standard errors
        share = (np.quantile(np.float64(x), [0.25, 0.5, 0.75]) - low) / (high - low)
        np.testing.assert_allclose(share, [0.25, 0.5, 0.75], atol=0.06)


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
        (lambda: Discrete(0), "Discrete.n: must be in [1, 2147483647], got 0"),
        (lambda: Discrete(2**31), "Discrete.n: must be in [1, 2147483647], got 2147483648"),
        (lambda: Discrete("3"), "Discrete.n: must be an int, got '3'"),
        (lambda: Discrete(1.5), "Discrete.n: must be an int, got 1.5"),
        (lambda: Box(0.0, 1.0, "ab"), "Box.shape: must be a tuple, got 'ab'"),
        (lambda: Box(0.0, 1.0, (-1,)), "Box.shape[0]: must be >= 0, got -1"),
        (lambda: Box(-1e39, 1.0, ()), "Box.low: beyond the range of float32, got -1e+39"),
        (lambda: Box(np.inf, np.inf, ()), "Box.low: must not exceed high; no number is above inf"),
        (lambda: Box(-np.inf, -np.inf, ()), "Box.low: must not exceed high; no number is above inf"),
        (lambda: Box(0, 2**40, (), np.int64), "Box.high: beyond the range of int64"),
        (lambda: Box(0.2, 0.8, (), np.int32), "Box.low: there is no integer between 0.2 and 0.8"),
        (lambda: Box(0.0, (1.0, 2.0), (3,)), "Box.high: shape (2,) is neither () nor (3,)"),
        (lambda: Box(np.zeros((3, 1)), 1.0, (3,)), "Box.low: shape (3, 1) is neither () nor (3,)"),
        (lambda: Box((0.0, 2.0), 1.0, (2,)), "Box.low: must not exceed high"),
        (lambda: Box(np.nan, 1.0, ()), "Box.low: must not exceed high"),
        (lambda: Box(0, 2**31, (), np.int32), "Box.high: beyond the range of int32, got 2147483648"),
        (
            lambda: Box(0.0, 1.0, (), complex),
            "Box.dtype: must be a type of floats or of integers, got complex",
        ),
        (lambda: Box(0, 1, (), bool), "Box.dtype: must be a type of floats or of integers, got bool"),
        (lambda: Box(0, 1, (), "words"), "Box.dtype: must be a type of numbers, got 'words'"),
        (lambda: Box("a", 1.0, ()), "Box.low: must be numbers of the shape of the box, got 'a'"),
        (lambda: Box(0.0, [[1.0], [1.0, 2.0]], (2,)), "Box.high: must be numbers of the shape of the box"),
        (lambda: Box(-1, 3, (), np.uint8), "Box.low: beyond the range of uint8, got -1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        make()


def test_integers_between_bounds_that_are_none():
    drawn = jax.vmap(Box(0.5, 2.5, (), np.int32).sample)(KEYS)
    assert set(np.asarray(drawn).tolist()) == {1, 2}
