"""Log-determinants against slogdet, at capacity, with wide items; tables, and kernels that are refused."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.log_det import LogDet, LogDetParams, cast_params, kernel_params
from jaxrl.envs.sets.protocol import gains

V = 6


_A = np.random.default_rng(0).normal(size=(V, 3))


KERNEL = _A @ _A.T


def test_the_gain_beyond_the_capacity_is_no_number():
    F = LogDet(3, 2)
    params, stat, gains = F.default_params(), F.init(F.default_params()), []
    for item in (0, 1, 2):
        stat, gain = F.add(params, stat, item)
        gains.append(float(gain))
    assert gains[0] == pytest.approx(0.5 * np.log(2)) and np.isnan(gains[2])


@pytest.mark.parametrize("noise", [1e-2, 1e-6])
def test_values_have_the_documented_precision(noise):
    """float32 within 5e-4 at sigma^2 = 1e-2; float64 within 1e-10 there and 1e-8 at 1e-6."""
    items = np.random.default_rng(0).integers(V, size=30).astype(np.int32)
    exact = 0.5 * np.linalg.slogdet(np.eye(30) + KERNEL[np.ix_(items, items)] / noise)[1]
    for dtype, bound in ((np.float32, 5e-4), (np.float64, 1e-10 if noise == 1e-2 else 1e-8)):
        if dtype == np.float32 and noise < 1e-2:
            continue
        with jax.enable_x64(dtype == np.float64):
            F, params = LogDet(V, 30), kernel_params(KERNEL, noise)
            stat, add = F.init(params), jax.jit(F.add)
            for item in items:
                stat, _ = add(params, stat, item)
            assert float(F.value(params, stat)) == pytest.approx(exact, abs=bound)


def test_derivatives_in_the_kernel_and_the_noise_are_those_of_the_determinant():
    """Both modes, and second derivatives, through a scan, with a place that is measured twice."""
    items = np.array([0, 3, 3, 5])

    def value(params):
        F = LogDet(V, 6)
        return F.value(params, jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), items)[0])

    def exact(params):
        # a gain reads one triangle of K
        kernel = jnp.tril(params.kernel) + jnp.tril(params.kernel, -1).T
        inner = jnp.eye(4) + kernel[jnp.ix_(items, items)] / params.noise
        return 0.5 * jnp.linalg.slogdet(inner)[1]

    with jax.enable_x64(True):
        params = kernel_params(KERNEL, 0.3)
        expected = jax.grad(exact)(params)
        for derivative in (jax.grad, jax.jacfwd):
            found = jax.jit(derivative(value))(params)
            np.testing.assert_allclose(
                found.kernel + found.kernel.T, expected.kernel + expected.kernel.T, atol=1e-12
            )
            np.testing.assert_allclose(found.noise, expected.noise, rtol=1e-12)
        twice = jax.jit(jax.grad(lambda p: jax.grad(value)(p).noise))(params)
        exactly = jax.grad(lambda p: jax.grad(exact)(p).noise)(params)
        np.testing.assert_allclose(twice.noise, exactly.noise, rtol=1e-11)


def test_items_of_64_bits_are_kept_in_32():
    """Without the cast that jax deprecates."""
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("error")
        F, params = LogDet(V, 2), kernel_params(KERNEL, 0.1)
        stat, gain = F.add(params, F.init(params), jnp.arange(V)[2])
        assert stat.items.dtype == jnp.int32 and int(stat.items[0]) == 2
        assert float(gain) == pytest.approx(0.5 * np.log1p(KERNEL[2, 2] / 0.1))


def test_scores_of_a_table_are_what_the_gains_are_made_of():
    """gain = 1/2 log(score / noise) for every item, as a set with repetitions grows."""
    with jax.enable_x64(True):
        F, params, ground = LogDet(V, 5), kernel_params(KERNEL, 0.1), jnp.arange(V)
        stat, table = F.init(params), F.table(params, ground)
        for i in (3, 0, 3, 5):
            score, slack = F.table_scores(params, stat, table)
            found = 0.5 * np.log(np.asarray(score) / 0.1)
            np.testing.assert_allclose(found, gains(F, params, stat, ground), atol=1e-12)
            assert 0 < float(slack) < 1e-12
            table = F.table_add(params, stat, table, ground, jnp.int32(i))
            stat, _ = F.add(params, stat, jnp.int32(i))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: kernel_params(KERNEL, 0.0), "kernel_params.noise: must be > 0 and finite in float32"),
        (lambda: kernel_params(KERNEL, 1e-50), "kernel_params.noise: must be > 0 and finite in float32"),
        (
            lambda: kernel_params(KERNEL, "a"),
            "kernel_params.noise: must be > 0 and finite in float32, got 'a'",
        ),
        (lambda: kernel_params(KERNEL, np.inf), "kernel_params.noise: must be > 0 and finite in float32"),
        (lambda: kernel_params(KERNEL, np.nan), "kernel_params.noise: must be > 0 and finite in float32"),
        (lambda: kernel_params(1e39 * KERNEL, 0.1), "kernel_params.kernel: .* not finite in float32"),
        (lambda: kernel_params(1e9 * KERNEL, 1e-37), "kernel_params.kernel: .* over the noise"),
        (lambda: kernel_params(np.full((2, 2), np.inf), 1.0), "kernel_params.kernel: has entries"),
        (lambda: kernel_params(np.ones((2, 3)), 1.0), "kernel_params.kernel: shape"),
        (lambda: kernel_params([[1.0, 2.0], [0.0, 1.0]], 1.0), "kernel_params.kernel: must be symmetric"),
        (lambda: kernel_params([[1.0, 2.0], [2.0, 1.0]], 1.0), "kernel_params.kernel: has a negative"),
        (lambda: LogDet(9, 2).init(LogDet(8, 2).default_params()), "LogDet.kernel: has shape"),
        (lambda: LogDet(9, 2.5), "LogDet.capacity"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


def test_a_noise_that_fits_into_64_bits_alone_is_taken_there():
    with jax.enable_x64(True):
        params = cast_params(KERNEL, 1e-50, "x")
        assert isinstance(params, LogDetParams) and float(params.noise) == 1e-50


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LogDet(3, 0), r"LogDet\.capacity: must be >= 1"),
        (
            lambda: kernel_params(np.triu(np.ones((3, 3))), 1.0),
            r"kernel_params\.kernel: must be symmetric",
        ),
        (
            lambda: kernel_params(-EYE, 1.0),
            r"kernel_params\.kernel: has a negative eigen",
        ),
        (
            lambda: kernel_params([[1, 1 + 5e-6], [1 + 5e-6, 1]], 1e-6),
            r"kernel_params\.kernel: has a negative eigen",
        ),
        (
            lambda: kernel_params(np.full((2, 2), np.nan), 1.0),
            r"kernel_params\.kernel: has entries that are not finite",
        ),
        (lambda: kernel_params(EYE[:2], 1.0), r"kernel_params\.kernel: shape"),
        (lambda: kernel_params(EYE, 0.0), r"kernel_params\.noise: must be > 0"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
