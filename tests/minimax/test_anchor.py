"""The smallest problem with every number known, and the step against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import sgda
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
    pull,
    quadrature,
)
from jaxrl.minimax.problem import Points, minibatch, points, problem
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


def test_padding_moves_like_a_particle_and_counts_for_nothing():
    with jax.enable_x64(True):
        rows = np.random.default_rng(1).normal(size=(6, 3))
        padded = Particles(rows, np.array([0.5, 0.25, 0.25, 0, 0, 0]))
        x, pulls = np.linspace(-1, 1, 5)[:, None], np.arange(5.0)
        short = Particles(rows[:3], padded.weights[:3])
        np.testing.assert_allclose(predict(TANH, padded, x, 2.0), predict(TANH, short, x, 2.0), atol=1e-15)
        velocities = pull(features(TANH, rows, x), pulls)
        np.testing.assert_allclose(velocities[3:], pull(features(TANH, rows[3:], x), pulls), atol=1e-13)
        assert np.all(np.abs(velocities).sum(1) > 0)


def test_gradients_of_many_inputs_are_those_of_few():
    """Columns that are zero change nothing, on either side of the limit between the two ways of computing."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        few, x, pulls = rng.normal(size=(5, 4)), rng.normal(size=(6, 2)), rng.normal(size=6)
        wide = np.insert(few, [3] * 20, 0.0, axis=1)
        found = pull(features(TANH, wide, np.pad(x, ((0, 0), (0, 20)))), pulls)
        expected = pull(features(TANH, few, x), pulls)
        np.testing.assert_allclose(np.delete(found, slice(3, 23), axis=1), expected, atol=1e-14)
        np.testing.assert_allclose(found[:, 3:23], 0, atol=1e-15)


def test_initial_laws():
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


BAD = {
    "lam": (lambda: problem(T, [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1], lam=-1), "lam: must be >= 0"),
    "p": (lambda: problem(T, [1, 0], [0.5, 0.6], [0.5, 0.5], [0, 1], [0, 1]), "problem.p: weights .* 1.1"),
    "T": (lambda: problem(T, [1, 0, 2], [0.5, 0.5], [1.0], [0, 1], [0]), r"problem.T: shape \(2, 2\)"),
    "nan": (lambda: problem(T * np.nan, [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1]), "T: every number"),
    "weights": (lambda: particles(np.zeros((2, 3)), [0.5, 0.4]), "particles.weights: .* sum is 0.9"),
    "points": (lambda: points(np.zeros((2, 1)), 0, 0, np.zeros((2, 1, 1))), r"points.x, points.z: expected"),
    "odd": (lambda: draw(jax.random.key(0), TANH, 1, 5), "even with init='sym'"),
    "odd config": (lambda: sgda.Config(width=4, dual_width=5), "even with init='sym'"),
    "init": (lambda: sgda.Config(init="mirror"), "init: 'mirror'"),
    "method": (lambda: sgda.Config(method="sgd"), "Config.method"),
    "hyper lam": (lambda: sgda.Hyper(lam=-0.1), "Hyper.lam: must be >= 0"),
    "hyper alpha": (lambda: sgda.Hyper(alpha=0.0), "Hyper.alpha: must be > 0"),
    "family": (lambda: Family("relu"), "Family.activation"),
    "bound": (lambda: Family(bound=0.0), "Family.bound"),
    "batch": (lambda: minibatch(0), "minibatch: size"),
    "every": (lambda: sgda.run(sgda.make(sgda.Config()), None, None, None, 5, every=2), "every: 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(UsageError, match=message):
        call()
