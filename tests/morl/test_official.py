"""The released extension term against numbers of the released code, and its surrogate inside PPO."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.morl import official

RATIO = np.array([0.7, 0.95, 1.0, 1.3])
RETURNS = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, -1.0], [0.0, 4.0]])
OPTIONS = {"clip": 0.2, "beta": 0.9, "t": 20.0}


def test_the_term_is_that_of_the_released_code():
    """A sample is dropped; without the column of the objective instead it would be 0.1524206266."""
    with jax.enable_x64(True):
        ratio, returns = jnp.asarray(RATIO), jnp.asarray(RETURNS)
        assert float(official.released_term(ratio, returns, 0, **OPTIONS)) == pytest.approx(
            0.0880982474, abs=1e-9
        )
        column = official.released_term(ratio, returns[:, 1:], 4, **OPTIONS)
        assert float(column) == pytest.approx(0.1524206266, abs=1e-9)


def test_the_gradient_at_ratio_one_does_not_know_which_actions_are_good():
    """- 1 / (t (1 - beta)) share{mean > 0} mean over kept samples, whatever the returns."""
    with jax.enable_x64(True):
        one = jnp.ones(4)
        for returns, share in ((RETURNS, 1.0), (RETURNS[::-1], 1.0), (RETURNS * [1, -1], 0.5)):
            grad = jax.grad(lambda r, x=jnp.asarray(returns): official.released_term(r, x, 2, **OPTIONS))(one)
            expected = -share / (20 * 0.1) / 3 * np.array([1, 1, 0, 1])
            np.testing.assert_allclose(grad, expected, rtol=1e-12)


def test_the_surrogate_takes_the_term_off_every_sample():
    samples = ppo.Samples(*[None] * 9)._replace(target=jnp.asarray(RETURNS, jnp.float32))
    own = official.Released(jnp.array([0.0, 1.0]), jnp.float32(0.9), jnp.float32(20.0))
    extra = {"hyper": ppo.Hyper(clip=0.2, surrogate=own), "samples": samples}
    ratio, advantage = jnp.asarray(RATIO, jnp.float32), jnp.array([1.0, -1.0, 2.0, 0.5])
    found = official.released_surrogate(ratio, advantage, jnp.float32(0), extra)
    plain = ppo.clipped_surrogate(ratio, advantage, jnp.float32(0), extra)
    term = official.released_term(ratio, samples.target, 1, **OPTIONS)
    np.testing.assert_allclose(plain - found, np.full(4, term), rtol=1e-5)
