"""Plans for many rewards in one call are those of backward induction, one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.planning import check_rewards, plan_on_kernel, table_policy
from tests.reward_free.mixtures import hashed


def test_policies_of_many_rewards_are_optimal_for_each():
    with jax.enable_x64(True):
        mixture = hashed()
        form = form_of(mixture)
        rewards = jnp.asarray(np.random.default_rng(0).uniform(size=(5, 6, 3, 2)))
        policies = jax.jit(plan_on_kernel)(form, form.kernel(mixture.theta[None]), rewards, 4)
        P = np.einsum("saxd,d->sax", mixture.phi, mixture.theta)
        for reward, policy in zip(np.asarray(rewards), np.asarray(policies), strict=True):
            V = np.zeros(3)
            for h in range(3, -1, -1):
                Q = reward[h] + P @ V
                np.testing.assert_array_equal(policy[h], Q.argmax(-1))
                V = Q.max(-1)
            assert not np.any(policy[4:])


def test_the_published_reward_has_its_optimal_first_actions():
    with jax.enable_x64(True):
        mixture = hashed()
        form, (s, a) = form_of(mixture), np.ix_(range(3), range(2))
        reward = jnp.tile(jnp.asarray(((2 * s + 3 * a) % 5) / 16), (1, 4, 1, 1))
        policy = plan_on_kernel(form, form.kernel(mixture.theta[None]), reward, 4)
        np.testing.assert_array_equal(policy[0, 0], [1, 0, 0])


def test_tables_act_by_state_and_step_and_stay_at_their_last_stage():
    table = jnp.array([[0, 1, 2], [2, 1, 0]], jnp.int32)
    policy = table_policy(table)
    for h, s, action in ((0, 1, 1), (1, 0, 2), (5, 2, 0)):
        obs = {"obs": jnp.int32(s), "h": jnp.int32(h)}
        assert policy.act(jax.random.key(0), obs, ())[0] == action


def test_rewards_of_another_shape_or_outside_the_range_are_refused_by_their_index():
    inside = np.zeros((2, 4, 3, 2))
    inside[1, :, 1, 0] = 0.25
    check_rewards(inside, 4, 3, 2)
    with pytest.raises(
        UsageError, match=r"rewards: shape \(4, 3, 2\) is not \[n, H, S, A\] = \[n, 4, 3, 2\]"
    ):
        check_rewards(inside[0], 4, 3, 2)
    for value, words in ((np.nan, "is not finite"), (-0.1, "is negative")):
        wrong = inside.copy()
        wrong[1, 2, 0, 1] = value
        for per_step in (False, True):
            with pytest.raises(UsageError, match=rf"rewards\[1\]: at stage 2, state 0, action 1 it {words}"):
                check_rewards(wrong, 4, 3, 2, per_step=per_step)
    with pytest.raises(UsageError, match=r"rewards\[1\]: its stage maxima add up to 4, 3 more than 1"):
        check_rewards(4 * inside, 4, 3, 2)
    check_rewards(4 * inside, 4, 3, 2, per_step=True)
    with pytest.raises(UsageError, match=r"rewards\[1\]: at stage 0, state 1, action 0 it is 2; divide"):
        check_rewards(8 * inside, 4, 3, 2, per_step=True)


def test_values_that_are_traced_are_not_checked():
    def planned(rewards):
        check_rewards(rewards, 4, 3, 2)
        return rewards.sum()

    assert jax.jit(planned)(-jnp.ones((1, 4, 3, 2))) == -24
