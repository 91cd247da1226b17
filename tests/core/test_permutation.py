import itertools

import jax
import numpy as np
import pytest

from jaxrl.core.prng import permutation


@pytest.mark.parametrize("n", [1, 2, 7, 1000, 2**16, 2**16 + 1])
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
