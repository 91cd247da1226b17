"""Members of the class of rewards, and what is refused with stage and pair."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free import rewards

H, S, A = 4, 3, 2


def test_named_members_are_in_the_class():
    pairs = np.ones((S, A))
    for reward in (
        rewards.one_shot(H, 2, pairs),
        rewards.per_step(H, pairs),
        *rewards.random_rewards(jax.random.key(0), 5, H, S, A),
    ):
        rewards.check_reward(reward, H, S, A)
    assert rewards.one_shot(H, 2, pairs).sum() == S * A and np.all(rewards.per_step(H, pairs) == 1 / H)


def test_battery_holds_every_set_of_few_states_at_every_stage():
    found = rewards.battery(jax.random.key(0), H, S, A, n_random=3)
    assert found.shape == (H * 7 + 3, H, S, A)
    fixed = np.asarray(found[: H * 7])
    assert len(np.unique(fixed, axis=0)) == H * 7
    assert np.all((fixed.reshape(-1, H, S * A).max(-1) > 0).sum(-1) == 1)
    many = rewards.battery(jax.random.key(0), 2, 7, A, n_random=0)
    assert many.shape == (14, 2, 7, A) and np.all(many.sum((1, 2, 3)) == A)
    for reward in found:
        rewards.check_reward(reward, H, S, A)


def refused(reward, match):
    with pytest.raises(UsageError, match=match):
        rewards.check_reward(reward, H, S, A)


def test_rewards_outside_the_class_are_refused():
    refused(np.zeros((H, S)), r"reward: shape \(4, 3\) is not \[H, S, A\] = \[4, 3, 2\]")
    for value, words in ((np.nan, "is not finite"), (np.inf, "is not finite"), (-0.1, "is negative")):
        reward = np.zeros((H, S, A))
        reward[1, 2, 0] = value
        refused(reward, f"at stage 1, state 2, action 0 it {words}")
    visits = np.zeros((H, S, A))
    visits[:, 1, 1] = 0.5
    refused(
        visits, r"add up to 2, 1 more than 1 \(0.5 at stage 0, state 1, action 1; 0.5 at stage 1.*divide it"
    )
    for stage in (4, 1.5):
        with pytest.raises(UsageError, match=rf"stage: must be a whole number in 0 .. 3, got {stage}"):
            rewards.one_shot(H, stage, np.ones((S, A)))
