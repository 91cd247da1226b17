"""The problems of the theorems are those of the library, and every row is a distribution."""

import jax
import numpy as np
import pytest

from jaxrl.envs.tabular.mixture_generators import hard_instance, hashed_mixture
from jaxrl.envs.tabular.mixture_generators import lock as library_lock
from theory.reward_free import definitions, instances


def test_the_hashed_mixture_and_the_lock_are_those_of_the_library():
    own = instances.hashed()
    with jax.enable_x64(True):
        library = hashed_mixture(3, 2, 2, (7, 3, 5, 11), 13)
        locked = library_lock(6, 3, 0.9, 0.1)
        table = np.asarray(locked.phi) @ np.asarray(locked.theta)
    np.testing.assert_allclose(own.phi, library.phi, atol=1e-15)
    np.testing.assert_allclose(own.theta, library.theta, atol=1e-15)
    np.testing.assert_allclose(instances.lock(6, 3, 0.9, 0.1), table, atol=1e-14)


def test_the_hard_instance_is_that_of_the_library():
    signs = np.array([1, -1, -1])
    with jax.enable_x64(True):
        library = hard_instance(4, 1000, signs.tolist())
    own = instances.hard(4, 1000, signs)
    np.testing.assert_allclose(own.phi, library.phi, atol=1e-15)
    np.testing.assert_allclose(own.theta, library.theta, atol=1e-15)


@pytest.mark.parametrize(
    "mixture",
    [
        instances.hashed(),
        instances.random_mixture(3, 4, 2, 3),
        instances.hard(4, 1000),
        instances.hard(5, 1000, np.array([1, -1, -1, 1])),
        instances.signed(),
    ],
)
def test_rows_are_distributions_and_features_of_values_in_the_unit_interval_have_norm_at_most_one(mixture):
    P = mixture.P
    assert (P >= -1e-15).all()
    np.testing.assert_allclose(P.sum(-1), 1, atol=1e-12)
    for f in definitions.sets(len(P)):
        assert np.linalg.norm(definitions.integrated(mixture.phi, f), axis=-1).max() <= 1 + 1e-12


def test_the_other_parameter_gives_kernels():
    P = instances.hashed().phi @ instances.OTHER
    assert (P > 0).all()
    np.testing.assert_allclose(P.sum(-1), 1, atol=1e-14)
