"""The two forms of features agree with sums written out, and with one another on the same tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mixture import phi_V
from jaxrl.reward_free.features import Dense, KnownSupport, form_of
from tests.reward_free.mixtures import hashed, three_lock


def known_support():
    """Three states, two actions, at most two successors: `(form, P [S, A, S])`."""
    successors = np.array([[[0, 1], [1, 0]], [[1, 2], [0, 2]], [[2, 0], [2, 1]]])
    mask = np.array([[[1, 1], [1, 0]], [[1, 1], [1, 1]], [[1, 0], [1, 1]]])
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.1, 1, mask.shape) * mask
    weights = raw / raw.sum(-1, keepdims=True)
    P = np.zeros((3, 2, 3))
    for s in range(3):
        for a in range(2):
            for j in range(2):
                P[s, a, successors[s, a, j]] += weights[s, a, j]
    return KnownSupport.of(successors, jnp.asarray(mask, jnp.result_type(float))), P, weights


def test_features_of_all_pairs_and_of_one_are_the_sums_of_the_definition():
    with jax.enable_x64(True):
        mixture = hashed()
        form = form_of(mixture)
        V = jnp.asarray(np.random.default_rng(1).uniform(size=(4, 3)))
        expected = np.stack([phi_V(mixture.phi, v) for v in V]).reshape(4, 6, 2)
        np.testing.assert_allclose(form.phi_all(V), expected, rtol=1e-14)
        for pair in range(6):
            np.testing.assert_allclose(form.phi_at(V, jnp.int32(pair)), expected[:, pair], rtol=1e-14)


def test_expectations_are_products_with_the_parameter_in_both_forms():
    with jax.enable_x64(True):
        mixture = three_lock()
        V = jnp.asarray(np.random.default_rng(2).uniform(size=mixture.n_states))
        P = np.einsum("saxd,d->sax", mixture.phi, mixture.theta).reshape(-1, mixture.n_states)
        dense = form_of(mixture)
        np.testing.assert_allclose(dense.product(mixture.theta[None], dense.phi_all(V)), P @ V, rtol=1e-13)

        form, P, weights = known_support()
        theta = jnp.asarray(weights.reshape(6, 2) * np.sqrt(2))
        V = V[:3]
        np.testing.assert_allclose(form.product(theta, form.phi_all(V)), (P @ V).ravel(), rtol=1e-13)
        np.testing.assert_allclose(form.table(form.kernel(theta)), P, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(form.mean(form.kernel(theta), V), (P @ V).ravel(), rtol=1e-13)
        assert float(form.dim) == 10 and form.blocks == (6, 2)


def test_prepared_means_and_norms_are_those_of_the_features():
    """Also for a matrix of rank one, whose root has columns of zeros."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        form, (block, *_) = form_of(three_lock()), known_support()
        for each in (form, block):
            B, k = each.blocks
            V, theta = jnp.asarray(rng.uniform(size=(4, each.n_states))), jnp.asarray(rng.normal(size=(B, k)))
            for rank in (k, 1):
                half = rng.normal(size=(B, k, rank))
                inverse, x = jnp.asarray(half @ half.swapaxes(1, 2)), each.phi_all(V)
                mean, norm = each.mean_and_norm(each.prepared(theta, inverse), V)
                np.testing.assert_allclose(mean, each.product(theta, x), atol=1e-13)
                np.testing.assert_allclose(norm**2, each.norm(inverse, x) ** 2, atol=1e-13)


def test_norms_of_blocks_are_those_of_the_whole_matrix():
    """Known support as dense features of dimension P k, with the block-diagonal matrix written out."""
    with jax.enable_x64(True):
        form, *_ = known_support()
        rng = np.random.default_rng(3)
        half = rng.normal(size=(6, 2, 2))
        inverse = half @ half.transpose(0, 2, 1) + np.eye(2)
        whole, phi = np.zeros((12, 12)), np.zeros((3, 2, 3, 12))
        successors, mask = np.asarray(form.successors), np.asarray(form.mask)
        for p in range(6):
            whole[2 * p : 2 * p + 2, 2 * p : 2 * p + 2] = inverse[p]
            for j in range(2):
                phi[p // 2, p % 2, successors[p, j], 2 * p + j] += mask[p, j] / np.sqrt(2)
        dense, V = Dense.of(jnp.asarray(phi)), jnp.asarray(rng.uniform(size=(5, 3)))
        expected = dense.norm(jnp.asarray(whole)[None], dense.phi_all(V))
        np.testing.assert_allclose(form.norm(jnp.asarray(inverse), form.phi_all(V)), expected, rtol=1e-13)
        x = np.asarray(dense.phi_all(V))
        np.testing.assert_allclose(expected, np.sqrt(np.einsum("npi,ij,npj->np", x, whole, x)), rtol=1e-13)


def test_kernels_of_estimates_are_distributions_where_estimates_are_not():
    mixture = hashed()
    form = form_of(mixture)
    for theta in (jnp.array([[3.0, -2.5]]), jnp.array([[-1.0, -1.0]])):
        kernel = form.kernel(theta)
        assert np.all(np.asarray(kernel) >= 0)
        np.testing.assert_allclose(kernel.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(kernel, 1 / 3, rtol=1e-6)  # no positive entry: uniform


def test_parameters_of_every_step_and_foreign_records_are_refused():
    mixture = hashed()
    with pytest.raises(UsageError, match=r"mixture\.theta: shape \(4, 2\) has one vector per step"):
        form_of(mixture.replace(theta=jnp.tile(mixture.theta, (4, 1))))
    with pytest.raises(UsageError, match="mixture: dict has neither phi nor successors"):
        form_of({})
