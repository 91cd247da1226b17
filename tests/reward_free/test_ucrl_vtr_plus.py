"""UCRL-VTR+: its weights beside the formula, optimism where the radius covers, and regret on a lock."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.reward_free import ucrl_rfe_plus, ucrl_vtr_plus
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import VTRState
from tests.reward_free import known_reward
from tests.reward_free.mixtures import SIGMA, hashed


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_one_observation_has_the_weight_of_the_variance_in_the_first_regression_alone():
    mixture = hashed()
    form, v = form_of(mixture), jnp.array([3.5, 0.2, 1.5])
    gram = jnp.asarray(np.stack([SIGMA, 2 * SIGMA]))[:, None]
    theta = jnp.stack([mixture.theta, 0.9 * mixture.theta])[:, None]
    state = VTRState(gram, jnp.einsum("mbij,mbj->mbi", gram, theta), jnp.linalg.inv(gram), jnp.zeros(2))
    hyper = ucrl_vtr_plus.Hyper(horizon=4, bound=1.1)
    pair, after = jnp.int32(1), jnp.int32(2)
    found = ucrl_vtr_plus._learn(form, state, state, v, pair, after, hyper, jnp.int32(1))
    numbers = ucrl_rfe_plus.radius(hyper, form)
    spread = sum(ucrl_rfe_plus.variance(form, state, v, pair, 4, numbers))
    x, x2 = (np.asarray(form.phi_at(y, pair)) for y in (v, v**2))
    nu = max(4**2 / 2, float(spread))
    np.testing.assert_allclose(found.gram[0, 0] - SIGMA, np.outer(x, x) / nu, atol=1e-12)
    np.testing.assert_allclose(found.gram[1, 0] - 2 * SIGMA, np.outer(x2, x2), atol=1e-12)
    np.testing.assert_allclose(found.b[:, 0] - state.b[:, 0], [x * 1.5 / nu, x2 * 1.5**2], atol=1e-12)


def test_values_are_optimistic_where_the_radius_covers():
    hyper = ucrl_vtr_plus.Hyper(horizon=5, bound=known_reward.BOUND)
    radius = float(ucrl_rfe_plus.radius(hyper, form_of(known_reward.problem().mixture)).plan)
    pairs = known_reward.plans(ucrl_vtr_plus)
    covered = [planned for state, planned in pairs if known_reward.distance(state, 0) <= radius]
    assert len(covered) >= 10
    assert all(float(planned.value[0, 0]) >= known_reward.OPTIMUM - 1e-9 for planned in covered)


def test_regret_on_the_lock_is_below_half_of_that_of_the_uniform_policy():
    """A uniform policy loses 0.604 an episode, 121 in all."""
    assert 0 < known_reward.regret(ucrl_vtr_plus)[-1] < 60
