"""The 1/n explorer: index beside loops, and what it does with pooled counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.reward_free.tabular import inverse_count
from jaxrl.reward_free.tabular.counts import kernel, visits
from tests.reward_free.tabular.loops import backup, random_counts

S, A, H = 4, 3, 5


@pytest.mark.parametrize("groups", [1, H])
def test_index_equals_the_loops(groups):
    for seed in range(5):
        counts = random_counts(seed, groups, S, A)
        expected = backup(
            counts, H, lambda h, n, mean: (1 / n if n > 0 else H - h) + mean, lambda h: H, 1 / S
        )
        with jax.enable_x64(True):
            table = jnp.asarray(counts)
            found = inverse_count.optimistic(visits(table), kernel(table), jnp.asarray(H), H)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_pooled_counts_refresh_the_bonus_of_every_stage():
    """One visit lowers the bonus of its pair at all stages, where the peer's pooled form keeps old ones."""
    counts = jnp.zeros((1, 2, 1, 2), jnp.int32).at[0, 0, 0, 1].set(4)
    Q = inverse_count.optimistic(visits(counts), kernel(counts), jnp.asarray(2), 2)
    np.testing.assert_allclose(Q[1, :, 0], [0.25, 1.0])
    np.testing.assert_allclose(Q[0, :, 0], [0.25 + 1.0, 2.0 + (0.25 + 1.0) / 2])
