"""Certificates of rules for targets, beside rules whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.meta import drift, targets
from jaxrl.meta.objective import MASKS, Objective
from jaxrl.meta.sensitivity import PROGRESS, sensitivity

BOTH = ("n/N", "ln N")


def test_reinforce_on_a_schedule_has_the_slope_and_the_changes_of_its_three_numbers():
    phi = jnp.array([0.3, 0.5, -0.4])
    found = sensitivity(targets.reinforce(inputs=BOTH), phi, horizon=20.0, predictions=2)
    assert found.correlation == pytest.approx(1, abs=1e-5)
    assert found.slope == pytest.approx(np.exp(0.3 + 0.25 - 0.4 * np.log(20)), rel=1e-5)
    assert found.progress == pytest.approx(np.exp(0.5 * PROGRESS[-1]) - 1, rel=1e-5)
    assert found.horizon == pytest.approx(np.exp(0.4 * np.log(4)) - 1, rel=1e-5)  # told N/4
    assert found.target_progress == found.target_horizon == 0  # its targets are the predictions


def test_a_blind_rule_is_not_changed_by_time_and_a_rule_that_says_nothing_has_no_slope():
    rule = targets.lpg(2, inputs=BOTH, embedding=2, width=3, bias=False)
    phi = rule.init(jax.random.key(1))
    blind, aware = (sensitivity(rule, phi, predictions=2, mask=MASKS[k]) for k in ("none", "paper"))
    assert blind[2:] == (0, 0, 0, 0) and min(aware[2:]) > 1e-4
    assert -1 <= blind.correlation <= 1 and blind.slope != 0
    nothing = Objective(lambda key: (), lambda phi, w, time: (0 * w.reward, w.y), "targets", name="nothing")
    assert sensitivity(nothing, (), predictions=2) == (0, 0, 0, 0, 0, 0)


def test_drifts_are_referred_to_their_own_certificate():
    with pytest.raises(UsageError, match='PPO is of the slot "drift", not of "targets"; take certificate'):
        sensitivity(drift.ppo(), ())
