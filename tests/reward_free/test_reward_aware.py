"""What learners that know the reward share: plans where determinants grew, and policies as tables."""

import jax
import numpy as np
import pytest

from jaxrl.reward_free import ucrl_vtr
from tests.reward_free import known_reward


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_plans_are_made_where_determinants_grew_and_not_in_every_episode():
    """Each plan of the schedule needs a growth of 1.2, so that their number is bounded by the determinant."""
    state = known_reward.states(ucrl_vtr)[-1]
    ridge = -2 * 7 * np.log(known_reward.BOUND)
    most = 1 + (float(state.log_det) - ridge) / np.log(1.2)
    assert 2 <= int(state.plans) <= most < int(state.episodes) == 200


def test_the_last_policy_is_optimal():
    state = known_reward.states(ucrl_vtr)[-1]
    assert known_reward.value(known_reward.problem(), state.policy) == pytest.approx(known_reward.OPTIMUM)
