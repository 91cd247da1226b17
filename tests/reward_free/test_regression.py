"""Ridge regressions by rank-one updates against numpy on all data at once."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


# 8 members on two devices, each with 2 series of 4 regressions that are refactored at every update: blocks of
# 2000 pairs with 5 successors, 16000 small matrices in all, and dense matrices of 19 features
POPULATION = """
import jax
import jax.numpy as jnp
import numpy as np
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, struct
from jaxrl.reward_free.features import Dense, KnownSupport
from jaxrl.reward_free.regression import VTRState, rank_one, refactored, ridge
from jaxrl.run.sweep import member_keys
from jaxrl.run.train import train
from typing import Any

assert jax.device_count() == 2

@struct.dataclass
class State:
    vtr: Any
    key: Any
    updates: Any

def init(key, hyper, form):
    return State(ridge(form, jnp.asarray(0.9), (2, 4)), key, jnp.zeros((), jnp.int32))

def step(state, hyper, form):
    k1, k2, k3 = jax.random.split(stream(state.key, state.updates), 3)
    pair = jax.random.randint(k1, (), 0, form.n_states * form.n_actions, jnp.int32)
    V = jax.random.uniform(k2, (2, 4, form.n_states))
    vtr = rank_one(state.vtr, form.block(pair), form.phi_at(V, pair), V[..., 0], hyper * jnp.ones((2, 4)))
    vtr = refactored(vtr)
    return State(vtr, state.key, state.updates + 1), {"log_det": vtr.log_det.mean()}

with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    blocks = KnownSupport.of(rng.integers(500, size=(500, 4, 5)), np.ones((500, 4, 5)))
    dense = Dense.of(jnp.asarray(rng.dirichlet(np.ones(8), (8, 3, 19)).swapaxes(-1, -2) / np.sqrt(19)))
    for form in (blocks, dense):
        found = []
        for lane in (1, 8):
            out = train(
                Algorithm(init, step, lambda *_: None), member_keys(0, 8), jnp.linspace(1.0, 50.0, 8), form,
                updates=UPDATES, lane=lane, progress=False, float64=True,
            )
            vtr = out.state.vtr
            product = jnp.einsum("...ij,...jk->...ik", vtr.gram, vtr.inverse)
            unit = np.broadcast_to(np.eye(product.shape[-1]), product.shape)
            np.testing.assert_allclose(product, unit, atol=1e-8)
            found.append(jax.tree.map(np.asarray, vtr))
        for a, b in zip(*map(jax.tree.leaves, found), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
print("ends")
"""


@pytest.mark.slow
def test_populations_with_the_largest_blocks_end_on_two_devices_in_narrow_and_wide_lanes():
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_NUMPY_RANK_PROMOTION": "allow",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", POPULATION.replace("UPDATES", "60")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.stdout == "ends\n", done.stderr
