"""Multi-target ridge: beside a loop over transitions, both feature forms, the exact kernel in the limit."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.reward_free.features import Dense, KnownSupport
from jaxrl.reward_free.tabular.multi_target import kernel_of, multi_target_ridge
from tests.reward_free.mixtures import hashed
from tests.reward_free.tabular.loops import random_counts


def test_gram_and_target_equal_a_loop_over_transitions():
    with jax.enable_x64(True):
        mixture = hashed()
        phi = np.asarray(mixture.phi)
        counts = random_counts(0, 2, 3, 2)
        state = multi_target_ridge(Dense.of(mixture.phi), jnp.asarray(counts), jnp.asarray(0.7))
        gram, b = 0.7 * np.eye(2), np.zeros(2)
        for g, s, a, x in np.argwhere(counts):
            for _ in range(counts[g, s, a, x]):
                gram += phi[s, a].T @ phi[s, a]
                b += phi[s, a, x]
        np.testing.assert_allclose(state.gram[0], gram, rtol=1e-12)
        np.testing.assert_allclose(state.b[0], b, rtol=1e-12)
        np.testing.assert_allclose(state.theta[0], np.linalg.solve(gram, b), rtol=1e-10)
        np.testing.assert_allclose(state.log_det, np.linalg.slogdet(gram)[1], rtol=1e-10)


def test_known_support_gives_the_estimates_of_the_same_features_written_out():
    """Phi(s, a, x) = e_(s, a, x) / sqrt k as a dense array has the same estimates."""
    successors = np.array([[[0, 1], [2, 0]], [[1, 2], [1, 0]], [[2, 0], [0, 1]]])
    mask = np.ones((3, 2, 2))
    mask[0, 1, 1] = 0
    phi = np.zeros((3, 2, 3, 12))
    counts = np.zeros((1, 3, 2, 3), np.int32)
    rng = np.random.default_rng(1)
    for s in range(3):
        for a in range(2):
            for i in range(2):
                if mask[s, a, i]:
                    x = successors[s, a, i]
                    phi[s, a, x, (s * 2 + a) * 2 + i] = 1 / np.sqrt(2)
                    counts[0, s, a, x] = rng.integers(0, 5)
    with jax.enable_x64(True):
        blocks = multi_target_ridge(
            KnownSupport.of(jnp.asarray(successors), jnp.asarray(mask)), jnp.asarray(counts), jnp.asarray(0.3)
        )
        dense = multi_target_ridge(Dense.of(jnp.asarray(phi)), jnp.asarray(counts), jnp.asarray(0.3))
        np.testing.assert_allclose(blocks.theta.ravel(), dense.theta.ravel(), atol=1e-12)


def test_many_transitions_give_the_kernel():
    with jax.enable_x64(True):
        mixture = hashed()
        form, P = Dense.of(mixture.phi), mixture.to_tabular().P
        counts = jnp.round(1e7 * P)[None].astype(jnp.int32)
        found = kernel_of(form, multi_target_ridge(form, counts, jnp.asarray(1.0)))
        np.testing.assert_allclose(found[0], P, atol=1e-6)
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-12)
