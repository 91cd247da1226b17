"""Flows against adaptive solvers, the lazy limit, and every number of the reference problem."""

import warnings

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import instances, lazy
from jaxrl.minimax.flow import flow, gap, integrate, moved
from jaxrl.minimax.particles import COS, TANH, Particles, cos_kernel, gram, quadrature
from jaxrl.minimax.samplers import npiv_points
from jaxrl.minimax.velocity import Networks, Players, velocity
from theory.minimax.oracles import entropic_w2, lazy_matrix, lazy_solution, planted, saddle, w2
from theory.minimax.setting import coefficients, reference, start

NETWORKS = Networks()


def test_gap_of_planted_instances_without_random_numbers():
    """A4: the integral of G for the quadrature of the cosine law, alpha = 2 and 16 in one program."""
    made, law, networks = reference(), quadrature(COS, (4, 20, 10)), Networks(COS, COS)

    @jax.jit
    @jax.vmap
    def run(alpha):
        plan = planted(networks, Players(law, law), made, *coefficients(made), alpha)
        trace = flow(
            networks, Players(law, law), plan.problem, alpha, plan.saddle, dt=0.1, steps=100, every=100
        )
        return plan.bound, trace.dissipated[-1]

    with jax.enable_x64(True):
        bound, dissipated = run(jnp.array([2.0, 16.0]))
    np.testing.assert_allclose(bound, 0.1314574920, rtol=1e-9)
    np.testing.assert_allclose(dissipated, [0.12205056, 0.12868529], rtol=1e-5)


def test_lazy_curve():
    """A5: G along the linear equation of the cosine kernel, 32 nodes; it is not monotone."""
    made = reference(32)
    with jax.enable_x64(True):
        kernel = cos_kernel(made.x[:, 0], made.x[:, 0])
        A, c = lazy.linear_system(made, kernel, kernel)
        path = lazy.lazy_flow(A, c, jnp.zeros(64), 0.05, 200)
        G = np.asarray(gap(made, path[:, :32], path[:, 32:], saddle(made)))
        A, end, kernel = np.asarray(A), np.asarray(path[-1]), np.asarray(kernel)
    np.testing.assert_allclose(A, lazy_matrix(made, kernel, kernel), atol=1e-14)
    np.testing.assert_allclose(end, lazy_solution(made, kernel, kernel, 10.0), atol=1e-11)
    np.testing.assert_allclose(G[[0, 20, 200]], [0.0339349425, 0.0295018547, 0.0055477465], rtol=0, atol=1e-8)
    assert np.argmax(G) == 69 and G.max() == pytest.approx(0.05374, abs=5e-6)
    assert G[11] == pytest.approx(0.02678, abs=5e-6) and G[11] == G[:60].min()


@pytest.fixture(scope="module")
def solved():
    """The players, Runge-Kutta and an adaptive solver from the same particles."""
    made = reference()
    solution = saddle(made)
    with jax.enable_x64(True):
        players = start(jax.random.key(0), 16)

        def field(t, y, args):
            moved_to = Players(Particles(y[0], players.primal.weights), Particles(y[1], players.dual.weights))
            return velocity(NETWORKS, moved_to, made, 2.0)[:2]

        exact = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            0.0,
            4.0,
            0.05,
            (players.primal.theta, players.dual.theta),
            stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-12),
        )
        run = lambda: flow(NETWORKS, players, made, 2.0, solution, dt=0.1, steps=40, every=10)  # noqa: E731
        trace = jax.tree.map(np.asarray, jax.jit(run)())
        theta = np.asarray(exact.ys[0][-1])
    return players, trace, theta


def test_fixed_steps_agree_with_an_adaptive_solver(solved):
    _, trace, exact = solved
    np.testing.assert_allclose(trace.theta[-1], exact, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("scheme", "order"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_schemes_have_their_order(scheme, order):
    """Of the rotation y'' = -y, over a quarter of a turn."""
    with jax.enable_x64(True):
        ends = [
            np.asarray(
                integrate(
                    lambda y: jnp.array([-y[1], y[0]]), jnp.array([1.0, 0.0]), np.pi / 2 / n, n, n, scheme
                )[-1]
            )
            for n in (20, 40)
        ]
    errors = [np.linalg.norm(end - [0, 1]) for end in ends]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_trace_holds_what_it_says(solved):
    players, trace, _ = solved
    np.testing.assert_allclose(trace.t, [0, 1, 2, 3, 4], atol=1e-12)
    assert trace.theta.shape == (5, 16, 3) and trace.f.shape == (5, 16)
    np.testing.assert_allclose(trace.f[0], 0, atol=1e-15)  # mirror pairs
    with jax.enable_x64(True):
        shift = np.asarray(moved(players, trace))
    assert shift[0] == 0
    np.testing.assert_allclose(shift[-1], np.sqrt(((trace.theta[-1] - trace.theta[0]) ** 2).sum(1).mean()))
    assert np.all(np.diff(trace.dissipated) > 0)


def test_stability_limits_and_the_warning():
    law = quadrature(COS, (6, 28, 16))
    for lam, limit in ((0.1, 1.4856), (0.0, 1.4875)):
        with pytest.warns(UserWarning, match=rf"eps=1\.5 is beyond the stability limit {limit - 1e-4:.3f}"):
            found = lazy.check_step(
                Networks(COS, COS), Players(law, law), instances.npiv_gaussian(0.7, lam), 1.5
            )
        assert found == pytest.approx(limit, abs=1e-4)
    assert lazy.stability_limit(np.diag([-1.0, 0.5])) == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = npiv_points(jax.random.key(0), 200, 0.7, lam=0.1)
        players = start(jax.random.key(1), 64)
        assert 0.3 < lazy.check_step(NETWORKS, players, rows, 0.05) < 5


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


def test_exact_distances_and_entropic_ones():
    """A11: at small displacements the identity is the optimal coupling; Sinkhorn is off by far."""
    rng = np.random.default_rng(0)
    theta, delta = rng.normal(size=(2, 512, 3))
    ahead = theta + 1e-3 * delta
    rms = np.sqrt(np.mean(np.sum((1e-3 * delta) ** 2, axis=1)))
    assert w2(ahead, theta) == pytest.approx(rms, rel=1e-9)
    assert entropic_w2(ahead, theta) > 5 * rms
    swapped = np.array([[0.0], [1.0]]), np.array([[1.0], [0.1]])
    assert w2(*swapped) == pytest.approx(np.sqrt(0.01 / 2), rel=1e-12)
    with pytest.raises(UsageError, match="w2: equal clouds"):
        w2(theta, theta[:3])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"scheme": "leapfrog"}, "scheme: 'leapfrog'"), ({"every": 3}, "every: 3 must divide")],
)
def test_integrate_refuses(options, message):
    with pytest.raises(UsageError, match=message):
        integrate(lambda y: -y, 1.0, 0.1, 10, **options)
