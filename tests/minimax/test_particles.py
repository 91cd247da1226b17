"""Weighted networks: padding, gradients, initial distributions, kernels, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.particles import (
    COS,
    TANH,
    Family,
    Particles,
    cos_kernel,
    draw,
    equal_weights,
    features,
    gram,
    particles,
    predict,
    quadrature,
    vjp,
)
from theory.minimax.setting import start


def test_padding_moves_like_a_particle_and_counts_for_nothing():
    with jax.enable_x64(True):
        rows = np.random.default_rng(1).normal(size=(6, 3))
        padded = Particles(rows, np.array([0.5, 0.25, 0.25, 0, 0, 0]))
        x, gradients = np.linspace(-1, 1, 5)[:, None], np.arange(5.0)
        short = Particles(rows[:3], padded.weights[:3])
        np.testing.assert_allclose(predict(TANH, padded, x, 2.0), predict(TANH, short, x, 2.0), atol=1e-15)
        velocities = vjp(features(TANH, rows, x), gradients)
        np.testing.assert_allclose(velocities[3:], vjp(features(TANH, rows[3:], x), gradients), atol=1e-13)
        assert np.all(np.abs(velocities).sum(1) > 0)


def test_gradients_of_many_inputs_are_those_of_few():
    """Columns that are zero change nothing, on either side of the limit between the two ways of computing."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        few, x, gradients = rng.normal(size=(5, 4)), rng.normal(size=(6, 2)), rng.normal(size=6)
        wide = np.insert(few, [3] * 20, 0.0, axis=1)
        found = vjp(features(TANH, wide, np.pad(x, ((0, 0), (0, 20)))), gradients)
        expected = vjp(features(TANH, few, x), gradients)
        np.testing.assert_allclose(np.delete(found, slice(3, 23), axis=1), expected, atol=1e-14)
        np.testing.assert_allclose(found[:, 3:23], 0, atol=1e-15)


def test_initial_distributions():
    key = jax.random.key(0)
    mirror = draw(key, TANH, 2, 10)
    np.testing.assert_array_equal(mirror[::2, 1:], mirror[1::2, 1:])
    np.testing.assert_array_equal(mirror[::2, 0], -mirror[1::2, 0])
    np.testing.assert_array_equal(draw(key, TANH, 2, 6), mirror[:6])  # a prefix, for padding
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_allclose(predict(TANH, Particles(mirror, equal_weights(10)), x, 3.0), 0, atol=1e-6)
    rows = draw(key, COS, 1, 4000, "iid", mean=(1.0, 0.0, 0.0))
    assert np.abs(rows[:, 2]).max() < np.pi
    # standard errors 1 / sqrt(4000) = 0.016 and pi / sqrt(3 * 4000) = 0.029; five of them
    np.testing.assert_allclose(rows.mean(0), [1, 0, 0], atol=0.15)
    assert float(rows[:, 2].std()) == pytest.approx(np.pi / np.sqrt(3), abs=0.1)


def test_cosine_kernel_is_that_of_the_quadrature():
    with jax.enable_x64(True):
        x = np.linspace(-2, 2, 7)
        net = quadrature(COS, (4, 28, 16))
        np.testing.assert_allclose(gram(COS, net, x[:, None]), cos_kernel(x, x), atol=1e-9)


def test_kernel_is_that_of_the_jacobian():
    with jax.enable_x64(True):
        net = start(jax.random.key(0), 64).primal
        x = np.linspace(-1, 1, 4)[:, None]
        jac = jax.jacobian(lambda theta: jnp.stack([_f(theta, point) for point in x]))(net.theta)
        expected = 64 * jnp.einsum("mnd,knd->mk", jac, jac)
        np.testing.assert_allclose(gram(TANH, net, x), expected, atol=1e-12)


def _f(theta, point):
    b = 3 * jnp.tanh(theta[:, 0] / 3)
    return jnp.mean(b * jnp.tanh(theta[:, 1] * point[0] + theta[:, 2]))


def test_integer_rows_keep_their_weights():
    net = particles([[1, 0, 1], [2, 1, 1]])
    np.testing.assert_array_equal(net.weights, [0.5, 0.5])
    assert net.theta.dtype == np.float64
    assert particles(np.zeros((2, 3), np.float32)).weights.dtype == np.float32


def test_more_live_particles_than_there_are_give_no_number():
    np.testing.assert_allclose(equal_weights(4, 2), [0.5, 0.5, 0, 0])
    assert np.isnan(jax.jit(lambda live: equal_weights(4, live))(5)).all()


BAD = {
    "weights": (lambda: particles(np.zeros((2, 3)), [0.5, 0.4]), r"particles.weights: .* sum is 0.9"),
    "rows": (lambda: particles([[1.0, np.nan, 0.0]]), "particles.theta: every number must be finite"),
    "no rows": (lambda: particles(np.zeros((0, 3))), r"expected theta \[N, D\], weights \[N\]"),
    "complex": (
        lambda: particles([[1.0 + 1j, 0.0]]),
        "expected an array of real numbers, got one of complex128",
    ),
    "ragged": (lambda: particles([[1.0, 0.0], [1.0]]), "expected an array of numbers, got rows of unequal"),
    "odd": (lambda: draw(jax.random.key(0), TANH, 1, 5), "even with init='sym'"),
    "family": (lambda: Family("relu"), "Family.activation"),  # type: ignore[arg-type]
    "bound": (lambda: Family(bound=0.0), "Family.bound"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_networks_are_refused(name):
    call, message = BAD[name]
    with pytest.raises(UsageError, match=message):
        call()
