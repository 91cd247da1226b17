"""RF-Express: index beside loops, bonus and certificate by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.reward_free.tabular import rf_express
from jaxrl.reward_free.tabular.counts import frequencies, visits
from tests.reward_free.tabular.loops import backup, random_counts

S, A, H, DELTA = 4, 3, 5, 0.1


@pytest.mark.parametrize("groups", [1, H])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_index_equals_the_loops(clip, groups, scale):
    for seed in range(5):
        counts = random_counts(seed, groups, S, A)

        def entry(h, n, mean):
            beta = math.log(3 * S * A * H / DELTA) + S * math.log(8 * math.e * (n + 1))
            return scale * 15 * H**2 * beta / max(n, 1) + (1 + 1 / H) * mean

        expected = backup(counts, H, entry, lambda h: H if clip else math.inf, 0.0)
        with jax.enable_x64(True):
            table = jnp.asarray(counts)
            bonus = scale * rf_express.bernstein_bonus(visits(table), jnp.asarray(H), jnp.asarray(DELTA))
            found, value = rf_express.error_bound(bonus, frequencies(table), jnp.asarray(H), H + 1, clip)
        np.testing.assert_allclose(found[:H], expected, rtol=1e-12, atol=1e-10)
        np.testing.assert_allclose(value, expected[0].max(-1), rtol=1e-12, atol=1e-10)


def test_bonus_has_the_values_computed_by_hand():
    with jax.enable_x64(True):
        n = jnp.zeros((1, 6, 2), jnp.float64).at[0, 0, 1].set(100)
        bonus = rf_express.bernstein_bonus(n, jnp.asarray(20.0), jnp.asarray(0.1))
    np.testing.assert_allclose(bonus[0, 0, 0] / (15 * 400), 27.358486, atol=1e-6)
    np.testing.assert_allclose(100 * bonus[0, 0, 1] / (15 * 400), 55.049209, atol=1e-6)


def test_certificate_is_twice_the_stopping_quantity():
    w = jnp.array([0.0, 0.01, 4.0])
    expected = [2 * (3 * math.e * math.sqrt(x) + x) for x in (0.0, 0.01, 4.0)]
    np.testing.assert_allclose(rf_express.certificate(w), expected, rtol=1e-6)
