"""Flows against adaptive solvers, their order, and what a trace holds."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.flow import flow, integrate, moved
from jaxrl.minimax.particles import COS, Particles, quadrature
from jaxrl.minimax.velocity import Networks, Players, velocity
from theory.minimax.oracles import planted, saddle
from theory.minimax.setting import coefficients, reference, start

NETWORKS = Networks()


def test_gap_of_planted_instances_without_random_numbers():
    """The integral of G for a quadrature of cosine neurons, alpha = 2 and 16 in one program."""
    made, networks = reference(), Networks(COS, COS)
    players = Players(*[quadrature(COS, (4, 20, 10))] * 2)

    @jax.jit
    @jax.vmap
    def run(alpha):
        plan = planted(networks, players, made, *coefficients(made), alpha)
        trace = flow(
            networks,
            players,
            plan.problem,
            alpha,
            plan.saddle,
            dt=0.1,
            steps=100,
            every=100,
        )
        return plan.bound, trace.dissipated[-1]

    with jax.enable_x64(True):
        bound, dissipated = run(jnp.array([2.0, 16.0]))
    np.testing.assert_allclose(bound, 0.1314574920, rtol=1e-9)
    np.testing.assert_allclose(dissipated, [0.12205056, 0.12868529], rtol=1e-5)


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


@pytest.mark.parametrize(
    ("options", "message"),
    [({"scheme": "leapfrog"}, "scheme: 'leapfrog'"), ({"every": 3}, "every: 3 must divide")],
)
def test_integrate_refuses(options, message):
    with pytest.raises(UsageError, match=message):
        integrate(lambda y: -y, 1.0, 0.1, 10, **options)
