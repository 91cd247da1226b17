"""Maximum-entropy exploration: its reward by hand, and what a pair gains by being visited."""

import jax.numpy as jnp
import numpy as np

from jaxrl.reward_free.tabular import max_entropy


def test_reward_is_minus_the_log_of_smoothed_shares():
    n = jnp.array([[0.0, 3.0], [1.0, 0.0]])
    found = max_entropy.surprise(n)
    np.testing.assert_allclose(found, -np.log(np.array([[1, 4], [2, 1]]) / 8), rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(-found).sum(), 1.0, rtol=1e-6)
