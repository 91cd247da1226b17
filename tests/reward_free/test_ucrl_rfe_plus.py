"""UCRL-RFE+: variance and weight of a worked example, and exploration of a lock."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import rewards, ucrl_rfe_plus
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import VTRState
from tests.reward_free.mixtures import SIGMA, hashed, three_lock

CONFIG = ucrl_rfe_plus.Config(horizon=5, episodes=150)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_variance_and_weight_of_a_worked_example():
    mixture = hashed()
    gram = jnp.asarray(np.stack([SIGMA, 2 * SIGMA]))[:, None]
    theta = jnp.stack([mixture.theta, 0.9 * mixture.theta])[:, None]
    state = VTRState(gram, jnp.einsum("mbij,mbj->mbi", gram, theta), jnp.linalg.inv(gram), jnp.zeros(2))
    v, bounds = jnp.array([3.5, 0.2, 1.5]), ucrl_rfe_plus.Radii(1.0, 1.0, 0.2, 0.5)
    variance, error = ucrl_rfe_plus.variance(form_of(mixture), state, v, jnp.int32(1), 4, bounds)
    np.testing.assert_allclose((variance, error), (1.1089363009, 1.2674140704), atol=1e-10)
    assert ucrl_rfe_plus.weight(variance, error, 4, 2) == 1 / 8
    np.testing.assert_allclose(1 / ucrl_rfe_plus.weight(variance, error, 4, 1000.0), 2.3763503713, atol=1e-10)


@pytest.fixture(scope="module")
def explored():
    """`(hyper, mixture, state)` of the three-lock after 150 episodes."""
    with jax.enable_x64(True):
        mixture = three_lock()
        algorithm = ucrl_rfe_plus.make(CONFIG, LinearMixture.of(mixture))
        hyper = ucrl_rfe_plus.Hyper(horizon=5, bound=2.6305892876, budget=3e4)
        state = algorithm.init(jax.random.key(0), hyper, mixture)
        yield hyper, mixture, jax.jit(algorithm.step)(state, hyper, mixture)[0]


def test_the_goal_of_a_lock_is_reached_after_exploration(explored):
    hyper, mixture, state = explored
    goal = rewards.one_shot(5, 4, jnp.zeros((5, 2)).at[3].set(1.0))
    policy = np.asarray(ucrl_rfe_plus.plan(CONFIG, state, hyper, mixture, goal[None]))[0]
    V = np.zeros(5)
    for h in reversed(range(5)):
        V = (np.asarray(goal[h]) + np.asarray(mixture.to_tabular().P) @ V)[np.arange(5), policy[h]]
    np.testing.assert_allclose(V[0], 0.729, atol=1e-9)


def test_only_the_second_regression_is_weighted(explored):
    """Its weights are at most d / H^2 of the published range; the others count every step once."""
    _, _, state = explored
    assert state.episodes == 150 and state.regression.gram.shape[0] == 3
    np.testing.assert_allclose(
        state.regression.log_det, jnp.linalg.slogdet(state.regression.gram[:, 0])[1], rtol=1e-9
    )


def test_the_first_regression_plans_with_the_first_radius(explored):
    hyper, mixture, _ = explored
    form = form_of(mixture)
    same = ucrl_rfe_plus.as_first(hyper, form)
    found = ucrl_rfe_plus.ucrl_rfe.radius(CONFIG.first, same, form)
    np.testing.assert_allclose(found, ucrl_rfe_plus.radius(hyper, form).first, rtol=1e-12)


def test_rho_is_the_largest_distance_of_the_true_parameter_over_the_radius_of_its_regression(explored):
    hyper, mixture, state = explored
    regression = state.regression
    numbers = ucrl_rfe_plus.radius(hyper.replace(c_beta=1.0), form_of(mixture))
    units = np.array([numbers.first, min(numbers.plan, numbers.mean), numbers.square])
    gram = np.asarray(regression.gram)[:, 0]
    away = np.linalg.solve(gram, np.asarray(regression.b)[:, 0, :, None])[..., 0] - np.asarray(mixture.theta)
    expected = np.sqrt(np.einsum("mi,mij,mj->m", away, gram, away)) / units
    found = ucrl_rfe_plus.realised_radius(CONFIG, state, hyper, mixture)
    np.testing.assert_allclose(found, expected.max(), rtol=1e-8)
