"""Means and variances of the estimators of a small problem, and exact gradients, to the digits."""

import jax
import numpy as np
import pytest

from jaxrl.submodular.exact import myopic_value, policy_value, uniform_policy
from theory.submodular.estimators import mean, samples, variance, weights
from theory.submodular.instances import coverage, random_problem


def uniform(problem):
    unfolded = problem.unfold()
    return float(policy_value(uniform_policy(unfolded, problem.mdp.n_states), unfolded))


TO_GO = {
    (0, 0): (-0.1648, 0.1552, 0.3392, -0.1648, -0.1648),
    (1, 0): (-0.1104, 0.1056, 0.2256, -0.1104, -0.1104),
    (1, 1): (-0.0288, -0.0288, 0.1232, -0.0368, -0.0288),
    (1, 2): (-0.0256, 0.1184, -0.0256, -0.0256, -0.0416),
    (2, 3): (-0.008, -0.008, -0.008, 0.016, 0.008),
}
MARGINAL = {(0, 0): (-0.2, 0.2, 0.4, -0.2, -0.2), (1, 0): (-0.12, 0.12, 0.24, -0.12, -0.12)}
VARIANCE = {
    "to_go": 16.9925376,
    "marginal": 5.9091456,
    "prefix": 28.4627456,
    "total": 44.7301376,
    "modular": 50.8744704,
}


def test_gradients_by_differentiation_trajectories_and_differences_agree():
    problem, zero = coverage("E"), np.zeros((3, 4, 5))
    x = samples(problem, zero)
    assert len(x.probability) == 125 and uniform(problem) == pytest.approx(3.744, abs=1e-12)
    assert x.probability @ x.alone.sum(1) + 1 == pytest.approx(6.736, abs=1e-12)
    with jax.enable_x64(True):
        unfolded = problem.unfold()
        both = [jax.grad(lambda t, f=f: f(jax.nn.softmax(t), unfolded)) for f in (policy_value, myopic_value)]
        to_go, marginal = map(np.asarray, jax.jit(lambda t: [g(t) for g in both])(zero))
    for rows, gradient in ((TO_GO, to_go), (MARGINAL, marginal)):
        for at, row in rows.items():
            np.testing.assert_allclose(gradient[at], row, rtol=0, atol=1e-9)
    np.testing.assert_allclose(marginal[2], to_go[2], atol=1e-12)
    assert (to_go**2).sum() == pytest.approx(0.4666624, abs=1e-9)
    assert (marginal**2).sum() == pytest.approx(0.5868544, abs=1e-9)
    expected = {"to_go": to_go, "total": to_go, "marginal": marginal, "prefix": marginal}
    for credit, gradient in expected.items():
        np.testing.assert_allclose(mean(x, weights(credit, x)), gradient, rtol=0, atol=1e-12)
    modular = mean(x, weights("modular", x))[0, 0]
    np.testing.assert_allclose(modular, (-0.2352, 0.1568, 0.5488, -0.2352, -0.2352), atol=1e-9)
    for credit, trace in VARIANCE.items():
        assert variance(x, weights(credit, x)) == pytest.approx(trace, abs=1e-9)

    def value(logits):
        e = np.exp(logits)
        return policy_value(e / e.sum(-1, keepdims=True), unfolded)

    for at in ((0, 0, 2), (1, 1, 3), (2, 3, 4)):
        step = np.zeros_like(zero)
        step[at] = 1e-5
        assert (value(step) - value(-step)) / 2e-5 == pytest.approx(to_go[at], abs=1e-8)


def test_time_indexed_tables_are_read_by_step():
    """Transitions that change with the step, against the same ones by enumeration in the estimators."""
    problem = random_problem(3)
    P = np.random.default_rng(0).dirichlet(np.ones(3), (3, 3, 2))
    with jax.enable_x64(True):
        mdp = jax.tree.map(np.asarray, problem.mdp.replace(P=P, R=np.zeros((3, 3, 2))))
    changing = problem._replace(mdp=mdp)
    x = samples(changing, np.zeros((3, 3, 2)))
    alone = problem.memory.alone(3) + problem.bonus[0]
    first = np.asarray(mdp.mu0) @ alone
    assert uniform(changing) == pytest.approx(first + x.probability @ x.gain.sum(1), abs=1e-12)
