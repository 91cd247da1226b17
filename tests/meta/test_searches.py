"""Searches for step sizes end where theory says: at block values, at the optimum, below blind schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta import searches
from jaxrl.core.prng import streams
from jaxrl.meta import known
from jaxrl.meta.estimators import Config
from theory.meta.quadratic import score


def test_the_score_of_a_network_that_steps_by_one_is_that_of_the_constant_schedule():
    with jax.enable_x64(True):
        zero = jnp.zeros(known.network_size())
        assert float(searches.network_score(zero, 1.0)) == pytest.approx(score(np.ones(8)), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("K", "factor"), [(1, 490.383), (2, 68.827), (4, 10.7104), (8, 1.0)])
def test_truncated_gradients_converge_to_the_values_of_their_blocks(K, factor):
    with jax.enable_x64(True):
        keys = streams(jax.random.key(1), 10)
        ends = searches.tables(Config("truncated", window=K), 8, 2000, keys, 0.03, 0.05)[:, -1]
    np.testing.assert_allclose(ends, factor, rtol=1e-3)


@pytest.mark.slow
def test_evolution_finds_the_optimum_that_truncated_gradients_miss():
    with jax.enable_x64(True):
        keys = streams(jax.random.key(1), 3)
        ends = searches.tables(Config("antithetic", samples=16), 8, 2000, keys, 0.03, 0.05)[:, -1]
    assert float(ends.max()) < 1.05


@pytest.mark.slow
def test_networks_that_know_the_horizon_beat_every_schedule_that_does_not_and_blind_ones_cannot():
    with jax.enable_x64(True):
        keys = streams(jax.random.key(0), 3)
        aware = np.asarray(searches.networks(6000, 64, keys, jnp.ones(3)))[:, -1]
        blind = np.asarray(searches.networks(6000, 64, keys[:1], jnp.zeros(1)))[:, -1]
    assert aware.max() <= 0.095
    assert blind.min() >= 1.9877
