"""PLAN on a worked example, many rewards at once, and the choice between actions at the ceiling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.mixture_generators import random_mixture
from jaxrl.reward_free import inner, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.optimism import plan_optimistically
from tests.reward_free.mixtures import SIGMA, hashed
from theory.reward_free import definitions

CONFIG, HYPER = ucrl_rfe.Config(horizon=4, value_range="published"), ucrl_rfe.Hyper(horizon=4)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def planned(rewards, beta, ceiling=4.0, horizon=4, shadow=0.0):
    mixture = hashed()
    inverse = jnp.asarray(np.linalg.inv(SIGMA))[None]
    arguments = (form_of(mixture), mixture.theta[None], inverse, rewards, beta, ceiling, horizon, shadow)
    return plan_optimistically(*arguments)


def test_pseudo_rewards_and_plan_of_a_worked_example():
    norm = inner.exact(form_of(hashed()), jnp.asarray(np.linalg.inv(SIGMA))[None]).norm
    rewards = ucrl_rfe.pseudo_rewards(CONFIG, HYPER, 1.0, norm)
    wanted = [
        [0.14955083978598, 0.28270621983462],
        [0.31389830036922, 0.21148717799371],
        [0.33109711112804, 0.34245795405027],
    ]
    np.testing.assert_allclose(rewards[0].reshape(3, 2), wanted, atol=1e-10)
    assert np.all(rewards[3] == 0)
    policy, value = planned(rewards.reshape(1, 4, 3, 2), 1.0)
    np.testing.assert_allclose(value[0, 0], [0.6296330393, 0.6514610708, 0.682982532], atol=1e-9)
    np.testing.assert_allclose(value[0, 1], [0.3029264537, 0.3183745758, 0.3389738022], atol=1e-9)
    assert policy[0, 0].tolist() == [1, 0, 1]


def test_without_a_bonus_it_is_the_optimum_of_every_reward_and_ends_at_the_horizon():
    rewards = jax.random.uniform(jax.random.key(0), (3, 4, 3, 2)) / 4
    P = np.asarray(hashed().to_tabular().P)
    for horizon in (4, 2):
        _, value = planned(rewards, 0.0, horizon=horizon)
        for i in range(3):
            V = np.zeros(3)
            for h in reversed(range(horizon)):
                V = (np.asarray(rewards[i, h]) + P @ V).max(-1)
            np.testing.assert_allclose(value[i, 0], V, atol=1e-12)
        assert np.all(value[:, horizon:] == 0)


def test_with_a_bonus_values_are_larger_and_end_at_the_ceiling():
    rewards = jax.random.uniform(jax.random.key(0), (1, 4, 3, 2)) / 4
    plain, more = planned(rewards, 0.0)[1], planned(rewards, 0.5)[1]
    assert np.all(more >= plain) and np.all(more[0, 0] > plain[0, 0])
    assert np.all(planned(rewards, 1e6)[1][0, :3] == 4)


def test_the_shadow_sum_decides_where_the_ceiling_makes_actions_equal():
    """State 2 pays at the last stage; one stage earlier every value is at its ceiling of 1."""
    rewards = jnp.zeros((1, 4, 3, 2)).at[0, 3, 2].set(1.0)
    first, value = planned(rewards, 1e6, ceiling=1.0)
    other, _ = planned(rewards, 1e6, ceiling=1.0, shadow=1e-6)
    assert np.all(first[0, :3] == 0) and np.all(value[0, 2] == 1)
    form, inverse = form_of(hashed()), jnp.asarray(np.linalg.inv(SIGMA))[None]
    norm = form.norm(inverse, form.phi_all(jnp.array([0.0, 0.0, 1.0]))).reshape(3, 2)
    assert other[0, 2].tolist() == norm.argmax(-1).tolist() != [0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_plan_and_pseudo_rewards_are_those_of_the_definitions(seed):
    """With an estimate that is no distribution, and a ceiling that binds."""
    rng, beta, most = np.random.default_rng(seed), 0.4, 1.5
    mixture = random_mixture(jax.random.key(seed), 3, 2, 2)
    phi, root = np.asarray(mixture.phi), rng.normal(size=(2, 2))
    gram, theta = root @ root.T + 0.3 * np.eye(2), np.asarray(mixture.theta) + 0.2 * rng.normal(size=2)
    form, inverse = form_of(mixture), jnp.asarray(np.linalg.inv(gram))[None]
    largest = inner.exact(form, inverse)
    found = ucrl_rfe.pseudo_rewards(CONFIG, HYPER, beta, largest.norm).reshape(4, 3, 2)
    np.testing.assert_allclose(found, definitions.pseudo_reward(phi, gram, beta, 4), atol=1e-12)
    np.testing.assert_array_equal(largest.sets.reshape(3, 2, 3), definitions.largest_norm(phi, gram)[1])
    reward = rng.random((4, 3, 2)) / 2
    arguments = (form, jnp.asarray(theta)[None], inverse, jnp.asarray(reward)[None], beta, most, 4, 0.0)
    policy, value = plan_optimistically(*arguments)
    wanted = definitions.plan(phi, theta, gram, reward, beta, most)
    np.testing.assert_allclose(value[0], wanted.V, atol=1e-12)
    np.testing.assert_array_equal(policy[0], wanted.policy)
    assert wanted.V.max() == most and (wanted.V[3] < most).any()
