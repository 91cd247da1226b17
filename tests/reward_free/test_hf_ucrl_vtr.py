"""HF-UCRL-VTR+: optimism where the radius covers, the targets of its regressions, and regret on a lock."""

import jax
import numpy as np
import pytest

from jaxrl.reward_free import hf_ucrl_vtr, radii
from tests.reward_free import known_reward


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_values_are_optimistic_where_the_radius_covers():
    d, covered = float(known_reward.dimension()), 0
    for state, planned in known_reward.plans(hf_ucrl_vtr, c_beta=0.4):
        radius = 0.4 * radii.hf_plain(float(state.episodes) + 1, 5.0, d, known_reward.BOUND, 0.1, 5**-0.5)
        if known_reward.distance(state, 0) <= float(radius):
            covered += 1
            assert float(planned.value[0, 0]) >= known_reward.OPTIMUM - 1e-9
    assert covered >= 10


def test_regret_on_the_lock_is_below_a_quarter_of_that_of_the_uniform_policy():
    """A uniform policy loses 0.604 an episode, 121 in all."""
    assert 0 < known_reward.regret(hf_ucrl_vtr, c_beta=0.4)[-1] < 30


def test_gram_matrices_of_all_orders_grow_in_every_update_by_weights_of_at_most_the_horizon():
    """The trace grows by at most H |phi_V|^2 <= H in each of 50 steps."""
    states = known_reward.states(hf_ucrl_vtr, c_beta=0.4)
    gram = np.stack([np.asarray(state.regressions.gram)[:, 0] for state in states])
    grown = np.diff(np.trace(gram, axis1=2, axis2=3), axis=0)
    assert gram.shape == (20, 4, 7, 7) and (grown > 0).all() and (grown <= 5 * 50).all()
