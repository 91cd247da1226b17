"""Equations of C-MORL against finite differences, closed forms and exact policy gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.morl import objectives
from jaxrl.morl.objectives import Multipliers
from tests.morl.finite_problems import formula_momdp
from theory.exact.policy_evaluation import differentiable_return
from theory.exact.tables import tables


@pytest.mark.parametrize("t", [1.0, 20.0, 100.0])
def test_barrier_and_its_slope_are_continuous_where_the_tangent_begins(t):
    with jax.enable_x64(True):
        edge, step = 1 / t**2, 1e-9 / t**2
        psi = lambda s: objectives.log_barrier(jnp.float64(s), jnp.float64(t))  # noqa: E731
        assert float(psi(edge + step) - psi(edge - step)) == pytest.approx(2 * t * step, rel=1e-4, abs=1e-12)
        left, right = (float(jax.grad(psi)(edge + sign * step)) for sign in (-1, 1))
        assert left == pytest.approx(t) and right == pytest.approx(t, rel=1e-6)


def test_barrier_is_the_logarithm_inside_and_a_line_outside():
    with jax.enable_x64(True):
        t = jnp.float64(20.0)
        assert float(objectives.log_barrier(jnp.float64(0.5), t)) == pytest.approx(np.log(0.5) / 20)
        outside = [float(objectives.log_barrier(jnp.float64(s), t)) for s in (-1.0, -0.5, 0.0)]
        assert outside[1] - outside[0] == pytest.approx(10) and outside[2] - outside[1] == pytest.approx(10)
        assert outside[2] == pytest.approx(-2 * np.log(20) / 20 - 1 / 20)


def test_gradient_of_the_barrier_is_that_of_finite_differences():
    with jax.enable_x64(True):
        t, h = jnp.float64(20.0), 1e-6
        for s in (-0.3, 0.001, 0.004, 0.2, 3.0):
            psi = lambda x: objectives.log_barrier(x, t)  # noqa: E731
            numeric = (psi(jnp.float64(s + h)) - psi(jnp.float64(s - h))) / (2 * h)
            assert float(jax.grad(psi)(jnp.float64(s))) == pytest.approx(float(numeric), rel=1e-5)


def test_slack_is_measured_in_spreads_of_the_archive():
    found = objectives.normalised_slack(jnp.array([3.0, 1.0]), jnp.array([1.0, 2.0]), jnp.array([4.0, 0.5]))
    np.testing.assert_allclose(found, [0.5, -2.0])


def test_only_constrained_objectives_enter_the_barrier():
    estimate, d, c = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 1.0, 5.0]), jnp.array([1.0, 2.0, 4.0])
    whole = objectives.barrier_objective(estimate, d, c, jnp.array([1.0, 1.0, 0.0]), 20.0)
    parts = [objectives.log_barrier((estimate[j] - d[j]) / c[j], 20.0) for j in range(2)]
    assert float(whole) == pytest.approx(float(sum(parts)), rel=1e-6)


def test_thresholds_of_the_paper_start_infeasible_for_negative_returns_and_shifted_ones_do_not():
    """A start at (1, -1) in Deep Sea Treasure: no policy needs fewer than one step."""
    start, z = jnp.array([1.0, -1.0]), jnp.array([0.0, -25.0])
    assert objectives.paper_thresholds(start, 0.9)[1] == pytest.approx(-0.9)
    shifted = objectives.shifted_thresholds(start, z, 0.9)
    np.testing.assert_allclose(shifted, [0.9, -3.4], rtol=1e-6)
    others = jnp.array([0.0, 1.0])
    assert not objectives.feasible(start, objectives.paper_thresholds(start, 0.9), others)
    assert objectives.feasible(start, shifted, others)


def test_extended_objective_is_not_constrained():
    d = jnp.array([5.0, 0.0])
    assert objectives.feasible(jnp.array([0.0, 1.0]), d, jnp.array([0.0, 1.0]))
    assert not objectives.feasible(jnp.array([0.0, 1.0]), d, jnp.array([1.0, 1.0]))


def test_gradient_of_the_return_estimate_is_the_exact_policy_gradient():
    """Visits and advantages enumerated exactly, so that nothing is left to chance."""
    mdp = formula_momdp()
    t = tables(mdp)
    with jax.enable_x64(True):
        logits = jnp.sin(jnp.arange(15.0, dtype=jnp.float64)).reshape(5, 3)
        pi = jax.nn.softmax(logits)
        P_pi = jnp.einsum("sa,sat->st", pi, t.P)
        r_pi = jnp.einsum("sa,sam->sm", pi, t.R)
        v = jnp.linalg.solve(jnp.eye(5) - t.gamma * P_pi, r_pi)
        advantages = t.R + t.gamma * jnp.einsum("sat,tm->sam", t.P, v) - v[:, None]
        visits = jnp.linalg.solve((jnp.eye(5) - t.gamma * P_pi).T, jnp.asarray(t.mu0))
        weights = ((visits * (1 - t.gamma))[:, None] * pi).ravel()
        length = 1 / (1 - t.gamma)

        def estimate(logits):
            ratio = (jax.nn.softmax(logits) / pi).ravel()
            return objectives.return_estimate(
                ratio, advantages.reshape(15, 2), t.mu0 @ v, jnp.float64(length), weights
            )

        ours = jax.jacobian(estimate)(logits)
        exact = jax.jacobian(lambda x: differentiable_return(jax.nn.softmax(x), t))(logits)
        np.testing.assert_allclose(estimate(logits), t.mu0 @ v, rtol=1e-12)
        np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-12)


def test_return_estimate_weighs_samples_equally_by_default():
    ratio, A = jnp.array([0.5, 1.5]), jnp.array([[1.0, 4.0], [3.0, 0.0]])
    found = objectives.return_estimate(ratio, A, jnp.array([10.0, 20.0]), jnp.float32(4.0))
    # centred advantages are (-1, 2) and (1, -2); mean of (rho - 1) A is (0.5, -1)
    np.testing.assert_allclose(found, [12.0, 16.0], rtol=1e-6)


def test_multipliers_without_other_gains_ascend_and_stay_positive():
    gains = (jnp.float32(0), jnp.float32(5), jnp.float32(0))
    zero = jnp.zeros(2)
    state, lam = Multipliers(zero, zero, zero), np.zeros(2)
    d, c = jnp.array([1.0, 2.0]), jnp.array([2.0, 4.0])
    for returns in ([0.0, 3.0], [0.5, 1.0], [3.0, 1.0], [0.0, 9.0]):
        state = objectives.multiplier_update(state, jnp.array(returns), d, c, gains)
        lam = np.maximum(0, lam + 5 * (np.asarray(d) - returns) / np.asarray(c))
        np.testing.assert_allclose(state.value, lam, rtol=1e-6)


def test_multipliers_follow_all_three_gains():
    state = Multipliers(jnp.zeros(1), jnp.array([0.5]), jnp.array([0.1]))
    gains = tuple(map(jnp.float32, (2.0, 3.0, 4.0)))
    found = objectives.multiplier_update(state, jnp.array([0.0]), jnp.array([0.4]), jnp.array([1.0]), gains)
    assert float(found.value[0]) == pytest.approx(2 * 0.4 + 3 * 0.9 + 4 * 0.3, rel=1e-6)


def test_weights_of_the_lagrangian_are_those_of_its_gradient():
    w = objectives.lagrangian_weights(jnp.array([0.0, 1.0]), jnp.array([3.0, 7.0]), jnp.array([2.0, 4.0]))
    np.testing.assert_allclose(w, [1.5, 0.25])


def test_the_best_policy_is_assigned_and_of_equal_ones_the_first():
    returns = jnp.array([[-jnp.inf, -jnp.inf], [1.0, 3.0], [3.0, 1.0], [2.0, 2.0]])
    valid = jnp.array([False, True, True, True])
    assert objectives.assigned(returns, valid, jnp.array([1.0, 0.0])) == 2
    assert objectives.assigned(returns, valid, jnp.array([0.5, 0.5])) == 1
