"""Orthogonal kernels without a factorisation: orthonormal, uniform in distribution, safe in batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.nets.net import orthogonal


@pytest.mark.parametrize("shape", [(3, 64), (64, 3), (64, 64), (1, 5)])
def test_rows_or_columns_are_orthonormal(shape):
    kernels = jax.jit(jax.vmap(lambda k: orthogonal(2.0)(k, shape)))(jax.random.split(jax.random.key(0), 20))
    for kernel in np.asarray(kernels, np.float64) / 2.0:
        gram = kernel @ kernel.T if shape[0] <= shape[1] else kernel.T @ kernel
        np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)


def test_entries_have_the_moments_of_uniform_orthogonal_matrices():
    """E q = 0, E q^2 = 1/n, E q^4 = 3/(n(n + 2)); 4,000 draws, five standard errors (false alarm < 1e-5)."""
    n, draws = 4, 4000
    kernels = jax.jit(jax.vmap(lambda k: orthogonal()(k, (n, n))))(jax.random.split(jax.random.key(1), draws))
    q = np.asarray(kernels)[:, 0, 0].astype(np.float64)
    for power, expected in ((1, 0.0), (2, 1 / n), (4, 3 / (n * (n + 2)))):
        error = np.std(q**power) / np.sqrt(draws)
        assert abs(np.mean(q**power) - expected) < 5 * error
    assert abs(np.mean(np.linalg.det(np.asarray(kernels)))) < 5 / np.sqrt(draws)  # both signs are as likely


def test_dtype():
    assert orthogonal()(jax.random.key(0), (4, 2), jnp.float32).dtype == jnp.float32
