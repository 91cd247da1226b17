"""Golden values of the generator, and the properties that make results independent of batching."""

import jax
import numpy as np

from jaxrl.core.prng import step_keys, stream, streams


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
