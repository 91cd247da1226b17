"""The error figure of a lock: programs and budgets of the methods, rows of the table, and what is refused."""

import numpy as np
import pytest

from experiments.reward_free import lock_error
from jaxrl.core.errors import UsageError
from tests.reward_free.mixtures import six_lock


def result(certificate, lower=0.2, battery=0.05, upper=0.6, name="HF-UCRL-RFE++"):
    """Two members after 100 and 300 episodes."""
    fill = {"battery": battery, "lower": lower, "upper": upper, "rho": 0.3}
    arrays = {key: np.full((1, 2, 2), value) for key, value in fill.items()}
    arrays["certificate"] = np.broadcast_to(certificate, (1, 2, 2))
    return {"method": np.array([name]), "budget": np.array([100, 300]), **arrays}


def test_certificates_are_proved_open_or_refuted_by_the_bracket():
    found = lock_error.scores(result(np.array([0.1, 0.6])))
    label = "HF-UCRL-RFE++, 300 episodes: share of certificates"
    means = [found[f"{label} {what}"].values.mean() for what in ("proved", "open", "refuted")]
    assert means == [0.5, 0, 0.5]
    found = lock_error.scores(result(np.array([1.2, 1.0])))
    assert found[f"{label} of 1 or more"].values.mean() == 1 and found[f"{label} proved"].values.mean() == 0
    found = lock_error.scores(result(np.array([0.2, 0.59])))
    assert found[f"{label} open"].values.mean() == 1


def test_the_table_says_how_far_the_battery_lies_below_the_adversary():
    found = lock_error.scores(result(np.array([1.0, 1.0])))
    row = found["HF-UCRL-RFE++, 100 episodes: worst error found less battery error"]
    np.testing.assert_allclose(row.values, 0.15)
    own = found["HF-UCRL-RFE++, 300 episodes: largest battery error"]
    assert isinstance(own, np.ndarray) and found["HF-UCRL-RFE++, 100 episodes: largest battery error"].derived


def test_methods_without_certificate_have_no_rows_of_one():
    found = lock_error.scores(result(np.nan, name="maximum entropy"))
    assert len(found) == 8 and not any("certificate" in label or "rho" in label for label in found)


def test_rf_rl_explore_has_a_run_for_every_budget_that_it_can_divide():
    config = lock_error.Config(("1/n", "RF-RL-Explore (UCBVI)"), budgets=(100, 300, 1000))
    assert lock_error._runs(config)[1:] == [
        ("RF-RL-Explore (UCBVI)", (300,)),
        ("RF-RL-Explore (UCBVI)", (1000,)),
    ]
    assert lock_error.estimate(config)["env_steps"] == 2300 * 8 * 8
    with pytest.raises(UsageError, match=r"Config\.budgets: RF-RL-Explore \(UCBVI\) needs at least 112"):
        lock_error.Config(budgets=(100,))


@pytest.mark.parametrize("budgets", [(), (0, 10), (15,), (20, 10)])
def test_budgets_that_are_no_increasing_multiples_are_refused(budgets):
    with pytest.raises(UsageError, match=r"Config\.budgets: must increase from 10 on in multiples of 10"):
        lock_error.Config(("1/n",), budgets=budgets)


def test_the_battery_has_every_state_at_every_stage_and_random_rewards():
    battery = np.asarray(lock_error._battery(lock_error.Config(("1/n",))))
    S = six_lock().n_states
    assert battery.shape == (8 * S + 32, 8, S, 3)
    assert (battery.max((2, 3)).sum(1) <= 1 + 1e-6).all()
