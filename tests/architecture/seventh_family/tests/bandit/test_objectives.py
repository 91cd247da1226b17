"""Equations of bandits against their formulas by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from jaxrl.bandit.objectives import ucb_index


def test_ucb_index_by_hand():
    index = ucb_index(jnp.array([0.5, 0.2]), jnp.array([4.0, 0.0]), jnp.array(4), jnp.array(1.0))
    assert index[0] == pytest.approx(0.5 + np.sqrt(2 * np.log(4) / 4), rel=1e-6)
    assert jnp.isinf(index[1])
