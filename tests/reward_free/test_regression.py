"""Ridge regressions by rank-one updates against numpy on all data at once."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import PIN_WEIGHT, distance, merged, rank_one, refactored, ridge
from tests.reward_free.mixtures import blocks, hashed, three_lock
from tests.reward_free.test_features import known_support

LAM = 0.9


def observations(form, n, batch, seed=0):
    """`(pairs [n], x [n, *batch, k], y [n, *batch], weights [n, *batch])` with features of the form."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(form.blocks[0] if form.blocks[0] > 1 else form.n_states * form.n_actions, size=n)
    V = jnp.asarray(rng.uniform(size=(n, *batch, form.n_states)))
    x = jnp.stack([form.phi_at(v, jnp.int32(p)) for v, p in zip(V, pairs, strict=True)])
    return pairs, x, jnp.asarray(rng.uniform(size=(n, *batch))), jnp.asarray(rng.uniform(1, 50, (n, *batch)))


def fitted(form, batch, n=40):
    """The state after n observations, and the observations."""
    data = observations(form, n, batch)
    state = ridge(form, LAM, batch)
    step = jax.jit(lambda state, p, x, y, w: rank_one(state, form.block(p), x, y, w))
    for p, x, y, w in zip(*data, strict=True):
        state = step(state, jnp.int32(p), x, y, w)
    return state, data


def test_rank_one_updates_give_the_weighted_ridge_solution_for_dense_features_and_blocks():
    with jax.enable_x64(True):
        for form in (form_of(hashed()), known_support()[0]):
            state, (pairs, x, y, w) = fitted(form, (2, 3))
            block = np.asarray(form.block(jnp.asarray(pairs)))
            B, k = form.blocks
            gram = np.tile(LAM * np.eye(k), (2, 3, B, 1, 1))
            b = np.zeros((2, 3, B, k))
            for i, at in enumerate(block):
                gram[:, :, at] += w[i][..., None, None] * x[i][..., :, None] * x[i][..., None, :]
                b[:, :, at] += (w[i] * y[i])[..., None] * x[i]
            np.testing.assert_allclose(state.gram, gram, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(state.inverse, np.linalg.inv(gram), rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(state.log_det, np.linalg.slogdet(gram)[1].sum(-1), rtol=1e-11)
            theta = np.linalg.solve(gram, b[..., None])[..., 0]
            np.testing.assert_allclose(state.theta, theta, rtol=1e-9, atol=1e-12)
            again = refactored(state)
            np.testing.assert_allclose(again.inverse, state.inverse, rtol=1e-9, atol=1e-13)
            np.testing.assert_allclose(again.log_det, state.log_det, rtol=1e-11)


def test_merging_counts_the_ridge_term_once():
    with jax.enable_x64(True):
        state, (_, x, y, w) = fitted(form_of(hashed()), (2, 3))
        one = merged(state, LAM)
        rows = np.asarray(x).reshape(-1, 2)
        weights, targets = np.asarray(w).ravel(), np.asarray(y).ravel()
        gram = LAM * np.eye(2) + (weights[:, None] * rows).T @ rows
        np.testing.assert_allclose(one.gram[0], gram, rtol=1e-12)
        np.testing.assert_allclose(
            one.theta[0], np.linalg.solve(gram, rows.T @ (weights * targets)), rtol=1e-10
        )


def test_pinning_adds_each_distinct_identity_once():
    """On the lock all pairs share phi_1 = c e_0; with known support every pair has its own."""
    with jax.enable_x64(True):
        mixture = three_lock()
        state = ridge(form_of(mixture), LAM, pin=True)
        expected = LAM * np.eye(mixture.dim)
        expected[0, 0] += PIN_WEIGHT / 2
        np.testing.assert_allclose(state.gram[0], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(state.theta[0, 0], np.sqrt(2), rtol=1e-5)

        form, *_ = known_support()
        state = ridge(form, LAM, pin=True)
        total = form.product(state.theta, form.phi_all(jnp.ones(3)))
        np.testing.assert_allclose(total, 1, rtol=1e-5)
        mask = np.asarray(form.mask)
        one = mask / np.sqrt(2)
        np.testing.assert_allclose(
            state.gram, LAM * np.eye(2) + PIN_WEIGHT * one[:, :, None] * one[:, None, :], rtol=1e-12
        )


def test_a_gram_matrix_that_is_not_positive_gives_nan_not_numbers():
    state = ridge(form_of(hashed()), LAM)
    state = refactored(state._replace(gram=-state.gram))
    assert np.isnan(state.log_det) and np.all(np.isnan(state.theta))


def test_distances_are_norms_in_the_whole_gram_matrix():
    with jax.enable_x64(True):
        gram = np.array([[4.0, 1.0], [1.0, 3.0]])
        found = distance(blocks(gram), jnp.array([[1.0, -2.0]]))
        np.testing.assert_allclose(found, np.sqrt(4 - 4 + 12), rtol=1e-14)


def test_rank_one_updates_in_float32_drift_and_refactoring_repairs_them():
    form = form_of(hashed())
    state, _ = fitted(form, (), n=300)
    exact = np.linalg.inv(np.asarray(state.gram, np.float64))
    np.testing.assert_allclose(refactored(state).inverse, exact, rtol=1e-3)
    np.testing.assert_allclose(state.inverse, exact, rtol=1e-2, atol=1e-4)
