"""TD(0), residual gradient, GTD2 and TDC against exact fixed points and against differentiation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import instances
from jaxrl.minimax.estimators import policy_evaluation as pe
from jaxrl.minimax.particles import COS, TANH, Particles, draw, predict
from jaxrl.minimax.problem import points

SIDE = {"gtd2": pe.gtd2, "tdc": pe.tdc}


def chain(gamma=0.8, seed=0, states=5):
    """A random chain in its stationary distribution, `(problem, P, r, mu)`."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(states), states)
    mu = np.linalg.matrix_power(P, 500)[0]
    r = rng.normal(size=states)
    mu = mu / mu.sum()
    return instances.evaluation(P, r, gamma, mu, rng.normal(size=(states, 2))), P, r, mu


def transitions(problem, P, r, mu, gamma):
    """Every pair (s, s') as one weighted observation."""
    s, t = np.meshgrid(np.arange(len(r)), np.arange(len(r)), indexing="ij")
    s, t = s.ravel(), t.ravel()
    x = np.stack([problem.x[s], problem.x[t]], 1)
    c = np.tile([[1.0, -gamma]], (len(s), 1))
    return points(x, c, r[s], problem.x[s][:, None], weight=mu[s] * P[s, t]), s, t


def settle(method, phi, problem, eps, updates, tau=1.0):
    """theta `[k]` after many steps of a linear method in float64."""
    phi = jnp.asarray(phi)
    model = pe.linear(phi)
    zero = jnp.zeros(phi.shape[1])

    def one(carry, _):
        theta, w = carry
        if method in SIDE:
            move = SIDE[method](model, problem, theta, w)
        else:
            move = pe.Directions(getattr(pe, method)(model, problem, theta), zero)
        return (theta + eps * move.theta, w + tau * eps * move.w), None

    return jax.jit(lambda: jax.lax.scan(one, (zero, zero), length=updates)[0][0])()


def test_tables_find_the_value():
    with jax.enable_x64(True):
        problem, *_ = chain()
        value = np.linalg.solve(problem.T, problem.h)
        for method in ("td", "residual", "gtd2", "tdc"):
            found = settle(method, np.eye(5), problem, 1.0, 40_000, tau=2.0)
            np.testing.assert_allclose(found, value, atol=1e-8, err_msg=method)


def test_linear_fixed_points_on_policy():
    with jax.enable_x64(True):
        problem, *_ = chain()
        phi = np.random.default_rng(1).normal(size=(5, 2))
        T, h, q = problem.T, problem.h, problem.q
        td = np.linalg.solve(phi.T @ (q[:, None] * (T @ phi)), phi.T @ (q * h))
        least = np.linalg.lstsq(np.sqrt(q)[:, None] * (T @ phi), np.sqrt(q) * h, rcond=None)[0]
        assert np.abs(td - least).max() > 1e-2
        for method, expected in (("td", td), ("gtd2", td), ("tdc", td), ("residual", least)):
            found = settle(method, phi, problem, 0.3, 20_000)
            np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=method)


def test_off_policy_td_diverges_and_the_corrected_methods_do_not():
    """Tsitsiklis and Van Roy's two states with features (1, 2): f = theta x, V = (1, 2), so theta = 1."""
    with jax.enable_x64(True):
        problem = instances.off_policy()
        phi = np.array([[1.0], [2.0]])
        assert abs(float(settle("td", phi, problem, 0.1, 500)[0]) - 1) > 1e6
        for method in ("gtd2", "tdc", "residual"):
            np.testing.assert_allclose(settle(method, phi, problem, 0.1, 20_000), [1.0], atol=1e-9)


@pytest.mark.parametrize("family", [TANH, COS])
def test_directions_of_gtd2_and_tdc_are_gradients_of_the_projected_error(family):
    """J = E[delta phi]' E[phi phi']^-1 E[delta phi], with phi the gradient of f; Maei et al. 2009."""
    with jax.enable_x64(True):
        problem, *_ = chain(states=9)
        n, alpha = 2, 1.5
        theta = draw(jax.random.key(3), family, 2, n, "iid", dtype=jnp.float64)
        weights = jnp.full(n, 1 / n)

        def f(flat):
            return predict(family, Particles(flat.reshape(theta.shape), weights), problem.x, alpha)

        def moments(flat):
            phi = jax.jacobian(f)(flat)
            delta = problem.T @ f(flat) - problem.h
            return phi, (problem.q * delta) @ phi, phi.T @ (problem.q[:, None] * phi)

        def projected(flat):
            _, moment, gram = moments(flat)
            return moment @ jnp.linalg.solve(gram, moment)

        @jax.jit
        def compare(theta):
            flat = theta.reshape(-1)
            _, moment, gram = moments(flat)
            w = -jnp.linalg.solve(gram, moment).reshape(theta.shape)
            # directions are N / alpha^2 times gradients in the rows
            expected = -0.5 * jax.grad(projected)(flat).reshape(theta.shape) * n / alpha**2
            model = pe.particle(family, problem.x, weights, alpha)
            return expected, [rule(model, problem, theta, w) for rule in SIDE.values()]

        expected, moves = compare(theta)
        for move in moves:
            np.testing.assert_allclose(move.theta, expected, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(move.w, 0, atol=1e-10)  # least squares is at rest


def test_particle_td_and_residual_are_derivatives():
    with jax.enable_x64(True):
        problem, *_ = chain()
        n, alpha = 6, 3.0
        theta = draw(jax.random.key(0), TANH, 2, n, "iid", dtype=jnp.float64)
        weights = jnp.full(n, 1 / n)
        model = pe.particle(TANH, problem.x, weights, alpha)

        def value(theta):
            return predict(TANH, Particles(theta, weights), problem.x, alpha)

        def bellman(theta):
            return jnp.sum(problem.q * (problem.T @ value(theta) - problem.h) ** 2) / 2

        def semi(theta, held):
            delta = problem.T @ held - problem.h
            return jnp.sum(problem.q * delta * value(theta))

        @jax.jit
        def compare(theta):
            ours = pe.residual(model, problem, theta), pe.td(model, problem, theta)
            return ours, (jax.grad(bellman)(theta), jax.grad(semi)(theta, value(theta)))

        for ours, gradient in zip(*compare(theta), strict=True):
            np.testing.assert_allclose(ours, -n / alpha**2 * gradient, atol=1e-12)


def test_single_transitions_are_unbiased_but_for_the_residual_gradient():
    """All pairs (s, s') with their probabilities are the expectation over samples."""
    with jax.enable_x64(True):
        problem, P, r, mu = chain()
        data, s, t = transitions(problem, P, r, mu, 0.8)
        rng = np.random.default_rng(2)
        phi, theta, w = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3)
        exact, sampled = pe.linear(jnp.asarray(phi)), pe.linear(jnp.asarray(phi[np.stack([s, t], 1).ravel()]))
        np.testing.assert_allclose(pe.td(sampled, data, theta), pe.td(exact, problem, theta), atol=1e-12)
        for rule in SIDE.values():
            for a, b in zip(rule(sampled, data, theta, w), rule(exact, problem, theta, w), strict=True):
                np.testing.assert_allclose(a, b, atol=1e-12)
        # the bias is -1/2 grad of gamma^2 E Var(f(s') | s)
        mean = P @ phi
        spread = np.einsum("s,st,ta,tb->ab", mu, P, phi, phi) - mean.T @ (mu[:, None] * mean)
        bias = pe.residual(sampled, data, theta) - pe.residual(exact, problem, theta)
        np.testing.assert_allclose(bias, -(0.8**2) * spread @ theta, atol=1e-12)
        assert np.abs(bias).max() > 1e-2


@partial(jax.jit, static_argnums=(0, 1))
def _trained(config, updates, key, hyper, problem):
    algorithm = pe.make(config)

    def one(state, _):
        state, metrics = algorithm.step(state, hyper, problem)
        return state, metrics["residual"]

    return jax.lax.scan(one, algorithm.init(key, hyper, problem), length=updates)


def test_the_algorithm_descends_and_answers():
    problem = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), instances.ring(8, 0.5))
    value = np.linalg.solve(problem.T, problem.h)
    for method in ("td", "residual", "gtd2", "tdc"):
        config = pe.Config(method, width=64, inputs=2)
        hyper = pe.Hyper(eps=0.2)
        state, history = _trained(config, 1000, jax.random.key(0), hyper, problem)
        found = pe.evaluate(config, state, hyper, problem.x)
        assert np.mean((found - value) ** 2) < 0.01 * np.mean(value**2), method
        np.testing.assert_allclose(history[0], np.mean(problem.h**2), rtol=1e-5)  # f starts at 0
        assert history[-1] < 0.02 * history[0], method
        assert int(state.updates) == 1000
        policy = pe.make(config).act(state, hyper, True)
        answer, _, _ = policy.act(jax.random.key(0), problem.x[3], policy.memory)
        np.testing.assert_allclose(answer, found[3], rtol=1e-5)


@pytest.mark.slow
def test_td_on_the_autoregression_is_near_the_value():
    """Relative error at most 0.002 at t = 1000 by Euler steps of 0.1."""
    with jax.enable_x64(True):
        problem = jax.tree.map(jnp.asarray, instances.ar1(0.9, 0.9))
        value = np.linalg.solve(problem.T, problem.h)
        config = pe.Config(width=512)
        hyper = pe.Hyper(alpha=8.0)
        state, _ = _trained(config, 10_000, jax.random.key(0), hyper, problem)
        found = pe.evaluate(config, state, hyper, problem.x)
        error = np.sum(problem.p * (found - value) ** 2) / np.sum(problem.p * value**2)
        assert error <= 0.002


def test_bad_settings_are_refused():
    with pytest.raises(UsageError, match=r"Config.method: must be one of"):
        pe.Config("sarsa")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'centred' is not offered"):
        pe.Config(init="centred")
    with pytest.raises(UsageError, match="even with init='sym'"):
        pe.Config(width=3)
