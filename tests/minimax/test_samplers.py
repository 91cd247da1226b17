"""Observations have the moments of their population, and unbiased gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import instances, samplers
from jaxrl.minimax.instances import npiv_gaussian
from jaxrl.minimax.particles import TANH, features, predict, vjp
from jaxrl.minimax.velocity import Networks, velocity
from theory.minimax.setting import start

POPULATIONS = {
    "npiv": (lambda: npiv_gaussian(0.7, 0.1, n=40), lambda k, n: samplers.npiv_points(k, n, 0.7, lam=0.1)),
    "ar1": (
        lambda: instances.ar1(0.6, 0.9, lam=0.1, n=40),
        lambda k, n: samplers.ar1_points(k, n, 0.6, 0.9, lam=0.1),
    ),
    "ring": (lambda: instances.ring(lam=0.1), None),
    "burnside": (lambda: instances.burnside(), lambda k, n: samplers.burnside_points(k, n)),
    "discount": (lambda: instances.discount_factor(n=40), lambda k, n: samplers.discount_points(k, n)),
    "derivative": (
        lambda: instances.average_derivative(n=40),
        lambda k, n: samplers.derivative_points(k, n),
    ),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_samples_have_the_moments_of_their_population(name):
    """L of functions that the grid resolves, row by row over 2e5 observations: 5 standard errors."""
    population, sampler = POPULATIONS[name]
    made = population()
    if name == "ring":
        P = (np.eye(20) - made.T) / 0.95
        sampler = lambda k, n: samplers.chain_points(k, n, P, made.h, 0.95, made.p, made.x, lam=0.1)  # noqa: E731
    with jax.enable_x64(True):
        x, c, b, z, d, u, weight, lam = map(np.asarray, sampler(jax.random.key(3), 200_000))

    def f(x):
        return np.cos(x[..., 0] / 2)

    def g(z):
        return np.sin(z[..., 0] / 2 + 0.3)

    rows = g(z[:, 0]) * ((c * f(x)).sum(1) - b) + (d * g(z)).sum(1) - g(z[:, 0]) ** 2 / 2
    rows = rows + lam * (f(x[:, 0]) - u) ** 2 / 2
    expected = made.q @ (g(made.z) * (made.T @ f(made.x) - made.h - g(made.z) / 2))
    expected += made.lam * made.p @ (f(made.x) - made.u) ** 2 / 2
    error = rows.std() / np.sqrt(len(rows))
    assert abs(rows.mean() - expected) < 5 * error
    assert error < 0.1 * max(1.0, abs(expected))
    assert weight.sum() == pytest.approx(1) and lam == made.lam


def test_treatment_effect():
    """The value at g = rho is E m(W; rho) - |rho|^2 / 2 = |rho|^2 / 2, with E rho^2 = 2 + 2 sqrt(e)."""
    with jax.enable_x64(True):
        rows = samplers.treatment_points(jax.random.key(0), 400_000)
        assert rows.z.shape == (400_000, 3, 2) and rows.x.shape == (400_000, 1, 2)
        treated, v = rows.dual_points.T
        e = jax.nn.sigmoid(v)
        rho = treated / e - (1 - treated) / (1 - e)
        value = float(rows.loss(jnp.zeros(400_000), rho))
    assert value == pytest.approx((2 + 2 * np.exp(0.5)) / 2, rel=0.02)


def test_gradients_of_single_observations_are_unbiased():
    """The mean of 2e5 rows against a two-dimensional trapezoid rule of the population, per parameter.

    4 standard errors for 64 numbers: false alarm 4e-3; the seed is fixed.
    """
    networks = Networks()
    with jax.enable_x64(True):
        players = start(jax.random.key(5), 8, init="iid")
        line = np.linspace(-8, 8, 200)
        normal = np.exp(-(line**2) / 2) / np.exp(-(line**2) / 2).sum()
        z, xi = (a.ravel() for a in np.meshgrid(line, line, indexing="ij"))
        weight = (normal[:, None] * normal[None]).ravel()
        x = 0.7 * z + np.sqrt(1 - 0.49) * xi
        points = [a[:, None] for a in (x, z)]
        found = [features(TANH, net.theta, p) for net, p in zip(players, points, strict=True)]
        f, g = (predict(TANH, net, p, 4.0) for net, p in zip(players, points, strict=True))
        y = np.sin(x) + 0.5 * xi
        exact = -vjp(found[0], weight * (g + 0.1 * f)) / 4, vjp(found[1], weight * (f - y - g)) / 4

        @jax.jit
        def blocks(key):
            rows = samplers.npiv_points(key, 200_000, 0.7, lam=0.1)

            def one(i):
                batch = rows.rows(i[None])
                return velocity(networks, players, batch, 4.0)[:2]

            sampled = jax.lax.map(one, jnp.arange(200_000), batch_size=2000)
            return [(s.mean(0), s.std(0) / np.sqrt(200_000)) for s in sampled]

        for (mean, error), expected in zip(blocks(jax.random.key(6)), exact, strict=True):
            assert np.all(np.abs(mean - expected) < 4 * error)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda key: samplers.npiv_points(key, 4, 2.0), "npiv_points.rho: must lie in"),
        (lambda key: samplers.npiv_points(key, 0, 0.5), "n: must be"),
        (lambda key: samplers.ar1_points(key, 4, 2.0, 0.9), "ar1_points.a: must lie in"),
        (lambda key: samplers.ar1_points(key, 4, 0.5, 2.0), "gamma: must lie in"),
        (lambda key: samplers.derivative_points(key, 4, step=0.0), "derivative_points.step: must be"),
        (lambda key: samplers.treatment_points(key, 0), "treatment_points.n: must be"),
    ],
)
def test_what_the_grids_refuse_is_refused_by_the_samplers(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call(jax.random.key(0))
