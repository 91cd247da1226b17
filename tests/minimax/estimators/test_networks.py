"""Leaky networks by hand, and passes over the data."""

import jax
import numpy as np

from jaxrl.minimax.estimators.networks import epoch, leaky


def test_leaky_networks_by_hand():
    net = leaky((2, 5, 1), dropout=0.5)
    params = net.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    (w1, b1), (w2, b2) = (
        (np.asarray(p["Dense_0"]["kernel"]), np.asarray(p["Dense_0"]["bias"])) for p in params
    )
    hidden = x @ w1 + b1
    hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
    np.testing.assert_allclose(net.apply(params, x), hidden @ w2 + b2, rtol=1e-5, atol=1e-6)
    rectified = leaky((2, 5), rectify_last=True).apply(params[:1], x)
    np.testing.assert_allclose(rectified, hidden, rtol=1e-5, atol=1e-6)
    # without a hidden layer, dropout is unbiased
    line = leaky((2, 1), dropout=0.5)
    own = line.init(jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), 4000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda k: line.apply(own, x, k)))(keys))
    error = np.abs(drawn.mean(0) - line.apply(own, x))
    assert np.all(error < 5 * drawn.std(0) / np.sqrt(4000)) and drawn.std() > 0.05


def test_a_pass_visits_every_row():
    rows = np.asarray(epoch(jax.random.key(0), 10, 4))
    assert rows.shape == (3, 4)
    assert sorted(rows.ravel()[:10]) == list(range(10))
    np.testing.assert_array_equal(rows.ravel()[10:], rows.ravel()[:2])
    assert epoch(jax.random.key(0), 10, 1024).shape == (1, 10)
