"""The smallest problem with every value known, and the step against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.minimax.particles import (
    COS,
    TANH,
    Family,
    Particles,
    equal_weights,
    gram,
    particles,
)
from jaxrl.minimax.problem import Points, points, problem
from jaxrl.minimax.velocity import Networks, Players, velocity

FREE = Family(bound=float("inf"))


T = np.array([[1, -0.5], [-0.25, 1]])


ANCHOR = problem(T, [1, 0], [0.5, 0.5], [0.5, 0.5], [-1.0, 1], [-1.0, 1], lam=0.1)


PLAYERS = Players(
    particles(np.array([(1, 0.5, 0.1), (-0.5, 1, 0)])),
    particles(np.array([(0.3, -0.7, 0.2), (1.2, 0.4, -0.1)])),
)


def test_unit_anchor():
    with jax.enable_x64(True):
        move = velocity(Networks(FREE, FREE), PLAYERS, ANCHOR, 2.0)
        value = ANCHOR.loss(move.f, move.g)
        theta, omega = (net.theta + 0.1 * v for net, v in zip(PLAYERS, move[:2], strict=True))
        kernel = gram(FREE, PLAYERS.primal, ANCHOR.x)
    close = {"rtol": 0, "atol": 1e-10}
    np.testing.assert_allclose(move.f, [0.0008481157, 0.1562524890], **close)
    np.testing.assert_allclose(move.g, [-0.3396512277, 0.2109399878], **close)
    assert float(value) == pytest.approx(0.160052736124, abs=1e-12)
    expected = [(0.9909515988, 0.4845567195, 0.1013401348), (-0.5150165855, 1.0041403814, 0.0000214682)]
    np.testing.assert_allclose(theta, expected, **close)
    expected = [(0.2874252359, -0.697630092, 0.1969824579), (1.208121928, 0.4158959325, -0.1189103677)]
    np.testing.assert_allclose(omega, expected, **close)
    np.testing.assert_allclose(kernel, [[1.1384057803, -0.392038542], [-0.392038542, 0.984661472]], **close)


def random_points(rng, rows=3, kinds=(3, 2), inputs=(2, 3)):
    """Observations that use every term of the objective."""
    (k, j), (d, e) = kinds, inputs
    normal = rng.normal
    weight = rng.dirichlet(np.ones(rows))
    return points(
        normal(size=(rows, k, d)),
        normal(size=(rows, k)),
        normal(size=rows),
        normal(size=(rows, j, e)),
        lam=0.3,
        d=normal(size=(rows, j)),
        u=normal(size=rows),
        weight=weight,
    )


def written_out(data: Points, f, g):
    """L of the observations, as an independent loop over functions of one point."""
    total = 0.0
    for i in range(len(data.b)):
        dual = g(data.z[i, 0])
        row = dual * (sum(c * f(x) for c, x in zip(data.c[i], data.x[i], strict=True)) - data.b[i])
        row += sum(d * g(z) for d, z in zip(data.d[i], data.z[i], strict=True))
        row += -(dual**2) / 2 + data.lam * (f(data.x[i, 0]) - data.u[i]) ** 2 / 2
        total += data.weight[i] * row
    return total


@pytest.mark.parametrize("family", [TANH, COS, Family(bias=False)], ids=["tanh", "cos", "no bias"])
def test_velocity_is_the_gradient_of_the_particle_loss(family):
    """(7) is eps N / alpha^2 times the derivative of the loss in the parameters, of either sign."""
    rng, alpha, n = np.random.default_rng(0), 1.7, 3

    def neuron(row, x):
        beta, w = row[0], row[1 : 1 + len(x)]
        b = beta if np.isinf(family.bound) else family.bound * jnp.tanh(beta / family.bound)
        s = jnp.tanh if family.activation == "tanh" else jnp.cos
        return b * s(w @ x + (row[-1] if family.bias else 0.0))

    def network(rows, x):
        return alpha / n * sum(neuron(rows[i], x) for i in range(n))

    with jax.enable_x64(True):
        data = random_points(rng)
        thetas = [jnp.asarray(rng.normal(size=(n, family.parameters(k)))) for k in (2, 3)]

        def loss(theta, omega):
            return written_out(data, lambda x: network(theta, x), lambda z: network(omega, z))

        value, grads = jax.jit(jax.value_and_grad(loss, (0, 1)))(*thetas)
        weights = equal_weights(n)
        players = Players(*(Particles(theta, weights) for theta in thetas))
        move = velocity(Networks(family, family), players, data, alpha)
        np.testing.assert_allclose(move.primal, -n / alpha**2 * grads[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(move.dual, n / alpha**2 * grads[1], rtol=0, atol=1e-12)
        assert float(data.loss(move.f, move.g)) == pytest.approx(float(value), abs=1e-12)
