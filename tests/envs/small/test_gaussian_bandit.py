"""One pull per episode, rewards by their quantiles, levels by their moments."""

import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.small.gaussian_bandit import BanditParams, GaussianBandit

ENV = GaussianBandit(3)
PARAMS = BanditParams(jnp.array([-1.0, 0.5, 2.0]), jnp.float32(0.5))


def test_a_reward_is_the_quantile_of_its_arm_and_ends_the_episode():
    state, obs = ENV.reset(jax.random.key(0), PARAMS)
    assert obs == 0 and state.arm == -1
    u = jnp.array([0.1, 0.5, 0.975])
    after, out = jax.vmap(ENV.step_u, (None, 0, 0, None))(state, jnp.arange(3), u, PARAMS)
    normal = statistics.NormalDist()
    expected = [-1 + 0.5 * normal.inv_cdf(0.1), 0.5, 2 + 0.5 * normal.inv_cdf(0.975)]
    np.testing.assert_allclose(out.reward, expected, rtol=1e-5)
    assert out.terminated.all() and after.arm.tolist() == [0, 1, 2]
    assert not np.any(out.obs)


def test_the_smallest_uniform_number_has_a_finite_reward():
    state, _ = ENV.reset(jax.random.key(0), PARAMS)
    assert -5 < float(ENV.step_u(state, 0, jnp.float32(0), PARAMS)[1].reward) < -3


def test_rewards_of_an_arm_have_its_mean_and_standard_deviation():
    state, _ = ENV.reset(jax.random.key(0), PARAMS)
    keys = jax.random.split(jax.random.key(1), 4000)
    reward = np.asarray(jax.vmap(lambda key: ENV.step(key, state, 2, PARAMS)[1].reward)(keys))
    # five standard errors
    assert abs(reward.mean() - 2) < 5 * 0.5 / np.sqrt(4000)
    assert abs(reward.std() - 0.5) < 5 * 0.5 / np.sqrt(8000)


def test_levels_have_standard_normal_means_and_unit_noise():
    levels = jax.vmap(GaussianBandit(5).sample_params)(jax.random.split(jax.random.key(2), 2000))
    assert levels.mean.shape == (2000, 5) and (levels.noise == 1).all()
    assert abs(float(levels.mean.mean())) < 5 / np.sqrt(10_000)
    assert abs(float(levels.mean.std()) - 1) < 5 / np.sqrt(20_000)


def test_the_picture_has_a_bar_for_every_mean_and_marks_the_pull():
    state, _ = ENV.reset(jax.random.key(0), PARAMS)
    before, after = (np.asarray(ENV.render(s, PARAMS)) for s in (state, state._replace(arm=jnp.int32(2))))
    assert before.shape == (168, 72, 3)
    background = before[0, 0]
    rows = [(before[::8, 24 * arm] != background).any(-1) for arm in range(3)]
    # a row is 0.3 of reward: from 0 down to -1, up to 0.5, up to 2
    assert [r.sum() for r in rows] == [4, 2, 7]
    changed = (before != after).any(-1)
    assert changed[:, 48:].sum() == 7 * 8 * 24 and not changed[:, :48].any()


def test_a_bandit_without_arms_is_refused():
    with pytest.raises(UsageError, match=r"GaussianBandit\.K"):
        GaussianBandit(0)
