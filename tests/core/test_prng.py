"""Golden values of the generator, and the properties that make results independent of batching."""

import itertools

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import check_key, indices, permutation, step_keys, stream, streams


def data(keys):
    return np.asarray(jax.random.key_data(keys))


def test_golden_values_of_the_generator():
    """Equal on jax 0.10 to 0.12; a new jax that changes them changes every published number."""
    np.testing.assert_array_equal(
        data(jax.random.split(jax.random.key(42), 2)), [[1832780943, 270669613], [64467757, 2916123636]]
    )
    normal = jax.random.normal(jax.random.key(0), (3,))
    np.testing.assert_allclose(normal, [1.62264216, 2.02526474, -0.43359444], rtol=1e-6)
    np.testing.assert_array_equal(data(jax.random.fold_in(jax.random.key(0), 7)), [2716826189, 292468403])
    np.testing.assert_array_equal(jax.random.randint(jax.random.key(4), (4,), 0, 100), [54, 46, 37, 10])


def test_golden_values_of_the_streams():
    np.testing.assert_array_equal(data(stream(jax.random.key(0), 7)), [2716826189, 292468403])
    np.testing.assert_array_equal(data(streams(jax.random.key(0), 3, 6))[1], [2716826189, 292468403])


def test_folding_and_splitting_one_key_gives_the_same_keys():
    """Why a key is either split or folded, never both: nothing warns about this reuse."""
    key = jax.random.key(42)
    np.testing.assert_array_equal(data(stream(key, 1)), data(jax.random.split(key, 2))[1])


@pytest.mark.parametrize("bound", [1, 2, 7, 65_535, 65_536, 65_537, 10**6, 2**31 - 1])
def test_indices_are_those_of_randint(bound):
    """Also where the product of two remainders wraps around, as it does in jax."""
    drawn = jax.jit(indices, static_argnums=1)
    for seed in range(3):
        key = jax.random.key(seed)
        expected = jax.random.randint(key, (257,), 0, bound)
        np.testing.assert_array_equal(drawn(key, 257, np.int32(bound)), expected)
        assert expected.dtype == drawn(key, 257, np.int32(bound)).dtype


def test_indices_are_uniform():
    # chi-square with 9 degrees of freedom: exceeds 27.9 with probability 1e-3 (the key is fixed)
    counts = np.bincount(indices(jax.random.key(0), 100_000, jax.numpy.int32(10)), minlength=10)
    assert counts.sum() == 100_000
    assert np.sum((counts - 10_000) ** 2 / 10_000) < 27.9


def test_streams_are_prefixes_and_offsets_are_indices():
    key = jax.random.key(3)
    long = data(streams(key, 10))
    np.testing.assert_array_equal(data(streams(key, 4)), long[:4])
    np.testing.assert_array_equal(data(streams(key, 4, 5)), long[5:9])
    for i in range(10):
        np.testing.assert_array_equal(data(stream(key, i)), long[i])


def test_step_keys_are_the_split_of_the_folds():
    """k_t = fold(k, t); k_{t,i} = fold(k_t, i); (act, env, reset) = split(k_{t,i}, 3), i the global index."""
    key = jax.random.key(5)
    got = [data(k) for k in step_keys(key, 2, 3, 4)]
    for i in range(3):
        want = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, 2), 4 + i), 3)
        for role in range(3):
            np.testing.assert_array_equal(got[role][i], data(want)[role])


def test_step_keys_of_one_step_are_distinct():
    keys = np.concatenate([data(k) for k in step_keys(jax.random.key(0), 0, 50)])
    assert len(np.unique(keys, axis=0)) == 150


@pytest.mark.parametrize("n", [1, 2, 7, 1000, 2**16, 2**16 + 1, 2**20 + 1])
def test_every_index_once(n):
    order = np.asarray(jax.jit(permutation, static_argnums=1)(jax.random.key(3), n))
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    if n >= 1000:
        assert np.abs(np.corrcoef(order, np.arange(n))[0, 1]) < 5 / n**0.5


def test_all_orders_of_four_are_equally_likely():
    # chi-square with 23 degrees of freedom: exceeds 49.7 with probability 1e-3 (the key is fixed)
    orders = jax.jit(jax.vmap(lambda k: permutation(k, 4)))(jax.random.split(jax.random.key(0), 24_000))
    code = np.asarray(orders) @ np.array([64, 16, 4, 1])
    counts = [np.sum(code == np.dot(p, [64, 16, 4, 1])) for p in itertools.permutations(range(4))]
    assert sum(counts) == 24_000
    assert sum((c - 1000) ** 2 / 1000 for c in counts) < 49.7


def test_neighbours_keep_no_order():
    # index i before i + 1 with probability 1/2; 4.9 standard errors, false alarm 1e-6
    n = 4096
    orders = np.asarray(
        jax.jit(jax.vmap(lambda k: permutation(k, n)))(jax.random.split(jax.random.key(1), 16))
    )
    place = np.argsort(orders, axis=-1)
    before = (place[:, :-1] < place[:, 1:]).mean()
    assert abs(before - 0.5) < 4.9 * (1 / 12 / (16 * n)) ** 0.5 * 2


def test_golden_values_of_a_permutation():
    """What minibatches are made of: other values change every published number of PPO."""
    np.testing.assert_array_equal(permutation(jax.random.key(0), 8), [3, 7, 5, 6, 2, 4, 1, 0])


@pytest.mark.parametrize("n", [2**16 + 1, 2**17])
def test_large_permutations_are_uniform(n):
    """Which eighth of the places each eighth of the indices goes to, and the order of neighbours.

    Chi-square with 49 degrees of freedom: exceeds 85.4 with probability 1e-3; 4.9 standard errors, 1e-6.
    """
    orders = np.asarray(
        jax.jit(jax.vmap(lambda k: permutation(k, n)))(jax.random.split(jax.random.key(2), 4))
    )
    place = np.argsort(orders, axis=-1)
    table = np.zeros((8, 8))
    np.add.at(table, (np.broadcast_to(np.arange(n) * 8 // n, place.shape), place * 8 // n), 1)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    assert ((table - expected) ** 2 / expected).sum() < 85.4
    before = (place[:, :-1] < place[:, 1:]).mean()
    assert abs(before - 0.5) < 4.9 * (1 / 12 / (4 * n)) ** 0.5 * 2


@pytest.mark.parametrize("key", [0, None, np.uint32([0, 1]), jax.random.key_data(jax.random.key(0))])
def test_what_is_no_typed_key_is_refused(key):
    with pytest.raises(UsageError, match=r"^key: must be one typed key, such as jax\.random\.key\(0\), got"):
        check_key(key)


def test_keys_may_be_traced_and_are_single():
    jax.vmap(check_key)(jax.random.split(jax.random.key(0), 3))
    with pytest.raises(UsageError, match=r"got key<fry>\[3\]"):
        check_key(jax.random.split(jax.random.key(0), 3))
