"""The relaxed bound: known values of both norms, above what oracles find, and what cannot be enumerated."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mixture_generators import random_mixture
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.oracles import exact
from jaxrl.reward_free.relaxed import relaxed_bound
from tests.reward_free.mixtures import hashed, hashed_view, no_plan


@pytest.mark.parametrize(
    ("beta", "plain", "majorant"), [(0.25, 0.1579166684, 0.1693280868), (1.0, 0.7086337760, 0.9198266574)]
)
def test_bounds_of_the_hashed_mixture_lie_above_its_largest_uncertainty(beta, plain, majorant):
    with jax.enable_x64(True):
        mixture = hashed()
        form, view = form_of(mixture), hashed_view(beta)
        assert abs(relaxed_bound(form, view, mixture.mu0, 4, "plain") - plain) < 1e-10
        bound = relaxed_bound(form, view, mixture.mu0, 4)
        assert abs(bound - majorant) < 1e-10
        found = exact(form, view, mixture.mu0, 4, no_plan(4, 3), jnp.zeros(()), jax.random.key(0))
        assert found.uncertainty < bound


def test_many_states_are_not_enumerated():
    mixture = random_mixture(jax.random.key(0), 15, 2, 3)
    with pytest.raises(UsageError, match="mixture: 15 states have 2\\^15 sets"):
        relaxed_bound(form_of(mixture), hashed_view(1.0), mixture.mu0, 4)
