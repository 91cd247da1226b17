"""Concave functions of features: default parameters, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.check import check_set_function
from jaxrl.envs.sets.features import FeatureBased, FeatureParams, features


def feature_params(cap=None):
    return features(np.ones((8, 3)), [1.0, 2.0, 0.5], cap)


def test_default_parameters_are_a_set_function():
    F = FeatureBased(3, "cap")
    check_set_function(F, F.default_params(), jnp.arange(3))
    assert isinstance(FeatureBased(3).default_params(), FeatureParams)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: features(np.ones(3)), "features.feature: shape"),
        (lambda: features(-np.ones((3, 2))), "features.feature: has negative"),
        (lambda: features(np.full((3, 2), 1e39)), "features.feature: .* not finite"),
        (lambda: features(np.ones((3, 2)), [1, -1]), "features.weight: has negative"),
        (lambda: features(np.ones((3, 2)), [1]), "features.weight: shape"),
        (lambda: features(np.ones((3, 2)), cap=-1), "features.cap"),
        (lambda: features(np.ones((3, 2)), cap=np.inf), "features.cap: .* not finite"),
        (lambda: FeatureBased(3, "square"), "FeatureBased.phi"),
        (lambda: FeatureBased(0), "FeatureBased.n_items"),
        (lambda: FeatureBased(8, "cap").init(feature_params()), "FeatureBased.phi: .* params lack a cap"),
        (lambda: FeatureBased(8).init(feature_params(1.0)), "FeatureBased.phi: .* params have a cap"),
        (lambda: FeatureBased(9).init(feature_params()), "FeatureBased.feature: has shape"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
