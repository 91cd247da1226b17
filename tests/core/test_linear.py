"""Small linear systems against numpy, alone, in batches, and by their derivatives."""

import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.linear import (
    cholesky,
    inverse,
    inverse_positive,
    semidefinite_root,
    solve,
    solve_positive,
)


def systems(kind, n, batch=16):
    """`(a [batch, n, n], b [batch, n, 2])`; random, or random with positive eigenvalues."""
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(batch, n, n)), rng.normal(size=(batch, n, 2))
    if kind == "positive":
        a = a @ a.transpose(0, 2, 1) + 0.1 * np.eye(n)
    return a, b


FUNCTIONS = {"general": solve, "positive": solve_positive}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_solutions_are_those_of_numpy(kind, dtype):
    function = FUNCTIONS[kind]
    with jax.enable_x64(True):
        for n in (1, 12):
            a, b = (jnp.asarray(array, dtype) for array in systems(kind, n))
            found = jax.jit(jax.vmap(function))(a, b)
            assert found.dtype == dtype
            expected = np.linalg.solve(np.float64(a), np.float64(b))
            # backward stability: the residual is a few n eps of |a| |x|
            size = np.linalg.norm(a, axis=(1, 2)) * np.linalg.norm(expected, axis=(1, 2))
            residual = np.linalg.norm(np.float64(a) @ np.float64(found) - b, axis=(1, 2))
            assert np.all(residual < 10 * n * jnp.finfo(dtype).eps * size)
            # a member of a batch, and a single right-hand side, are the same system
            reach = 10 * jnp.finfo(dtype).eps * np.linalg.cond(a[3]) * np.abs(expected[3]).max()
            np.testing.assert_allclose(function(a[3], b[3]), found[3], atol=reach)
            np.testing.assert_array_equal(function(a[3], b[3, :, 0]).shape, (n,))


def test_rows_are_exchanged():
    """Without exchange the first pivot is 0, and one of 1e-20 loses every digit of the answer."""
    for first in (0.0, 1e-20):
        a, b = jnp.array([[first, 1.0], [1.0, 1.0]]), jnp.array([1.0, 2.0])
        np.testing.assert_allclose(solve(a, b), [1.0, 1.0], rtol=1e-6)
    a = jnp.array([[0.0, 2.0, 0.0], [0.0, 0.0, 4.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(inverse(a), [[0, 0, 1], [0.5, 0, 0], [0, 0.25, 0]], atol=1e-7)


def test_a_root_exists_where_a_matrix_is_singular_and_is_not_a_number_where_the_matrix_is_not():
    with jax.enable_x64(True):
        a, _ = systems("positive", 6)
        np.testing.assert_allclose(semidefinite_root(jnp.asarray(a[0])), np.linalg.cholesky(a[0]), atol=1e-13)
        x = np.random.default_rng(1).normal(size=(6, 2))
        root = np.asarray(semidefinite_root(jnp.asarray(x @ x.T)))
        np.testing.assert_allclose(root @ root.T, x @ x.T, atol=1e-7)
        assert not np.triu(root, 1).any()
        assert np.isnan(semidefinite_root(jnp.full((2, 2), jnp.nan))).any()


def test_inverse_and_log_determinant_of_positive_matrices_are_those_of_numpy():
    with jax.enable_x64(True):
        a, _ = systems("positive", 9)
        found, log_det = jax.vmap(inverse_positive)(jnp.asarray(a))
        np.testing.assert_allclose(found, np.linalg.inv(a), rtol=1e-8, atol=1e-8)
        np.testing.assert_array_equal(found, np.swapaxes(found, 1, 2))
        np.testing.assert_allclose(log_det, np.linalg.slogdet(a)[1], rtol=1e-12)
        assert np.isnan(inverse_positive(-jnp.eye(3))[1])


def test_the_root_is_that_of_numpy():
    with jax.enable_x64(True):
        a, _ = systems("positive", 9)
        root = jax.vmap(cholesky)(jnp.asarray(a))
        np.testing.assert_allclose(root, np.linalg.cholesky(a), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(jax.vmap(inverse)(jnp.asarray(a)), np.linalg.inv(a), rtol=1e-7, atol=1e-9)


def test_what_has_no_solution_is_not_finite():
    singular = jnp.array([[1.0, 2.0], [2.0, 4.0]])
    assert not np.all(np.isfinite(solve(singular, jnp.ones(2))))
    indefinite = jnp.array([[1.0, 2.0], [2.0, 1.0]])
    assert np.isnan(solve_positive(indefinite, jnp.ones(2))).any()
    assert np.isnan(cholesky(indefinite)).any()


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_derivatives_are_those_of_lapack(kind):
    with jax.enable_x64(True):
        a, b = (jnp.asarray(array[:4]) for array in systems(kind, 5))
        w = jnp.asarray(np.random.default_rng(1).normal(size=(4, 5, 2)))

        def value(function, a, b):
            if kind == "positive":
                a = (a + a.T) / 2
            return jnp.sin(function(a, b))

        def compare(function):
            def loss(a, b):
                return jnp.sum(w * jax.vmap(lambda a, b: value(function, a, b))(a, b))

            tangent = jax.jvp(lambda a: loss(a, b), (a,), (jnp.cos(a),))[1]
            return jax.grad(loss, (0, 1))(a, b), tangent, jax.hessian(lambda s: loss(a + s, b))(0.0)

        chex.assert_trees_all_close(compare(FUNCTIONS[kind]), compare(jnp.linalg.solve), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve(jnp.ones((3, 2)), jnp.ones(3)), r"a: must be one square matrix .* shape \(3, 2\)"),
        (lambda: solve_positive(jnp.ones((2, 3, 3)), jnp.ones((2, 3))), "a: must be one square matrix"),
        (lambda: cholesky(jnp.ones((2, 3))), "a: must be one square matrix"),
        (lambda: inverse(jnp.ones((0, 0))), "a: must be one square matrix"),
        (lambda: semidefinite_root(jnp.ones((2, 2), int)), "a: must be of float32 or float64, got int32"),
        (lambda: solve(jnp.eye(2), jnp.ones(3)), r"b: must be \[n\] or \[n, k\] with n = 2"),
    ],
)
def test_what_is_no_system_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


# four members on two devices, each with a batch of the size that the name says, in a scan of 50 updates; the
# same batches of `jnp.linalg.solve` stop for ever in the first or the second call
SEVERAL_DEVICES = """
import jax
import jax.numpy as jnp
from jaxrl.core import linear
from jaxrl.core.spmd import map_population, mesh

assert jax.device_count() == 2
batch, n, kind = {batch}, {n}, "{kind}"

def system(key):
    a = jax.random.normal(key, (n, n))
    return a @ a.T + n * jnp.eye(n)

def powers(a):  # sum_t (gamma P)^t r by repeated squaring, for row sums of one half
    M, v = 0.5 * a / jnp.abs(a).sum(-1, keepdims=True), jnp.ones(n)
    def double(carry, _):
        M, v = carry
        return (M @ M, v + M @ v), None
    return jax.lax.scan(double, (M, v), length=12)[0][1]

one = {{"solve": lambda a: linear.solve_positive(a, jnp.ones(n)), "powers": powers}}[kind]

def member(key):
    a = jax.vmap(system)(jax.random.split(key, batch))
    def update(x, _):
        return jax.vmap(one)(a + 1e-3 * x[:, None]), None
    return jax.lax.scan(update, jnp.zeros((batch, n)), length=50)[0]

run = jax.jit(map_population(member, mesh(), 2))
for seed in range(2):
    assert jnp.isfinite(run(jax.random.split(jax.random.key(seed), 4))).all()
print("ends")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "batch", "n"), [("solve", 4096, 8), ("solve", 24, 12), ("powers", 24, 122)])
def test_populations_on_several_devices_end(kind, batch, n):
    script = SEVERAL_DEVICES.format(kind=kind, batch=batch, n=n)
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_NUMPY_RANK_PROMOTION": "allow",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout == "ends\n", done.stderr
