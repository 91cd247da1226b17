"""Configurations of studies without tables, and the plans that they make."""

import numpy as np
import pytest

from experiments.morl import brax
from experiments.morl.episodic import SETTINGS, Config, plan
from jaxrl.core.errors import UsageError
from jaxrl.morl.tasks import task


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_names_the_objectives_of_its_record(name):
    assert len(SETTINGS[name].objectives) == len(task(name).reference)


def test_a_plan_trains_within_the_horizon_of_the_record():
    own = plan(Config(("minecart",)), "minecart")
    assert int(own.data.limit) == 500 == own.evaluation.limit
    assert own.gamma == 0.98 and own.evaluation.kind == "greedy"
    # six preferences of the lattice with step 1/2
    assert own.weights.shape == (6, 3)
    np.testing.assert_allclose(own.weights.sum(1), 1)


def test_stage_2_keeps_its_learning_rate_and_has_no_bonus():
    own = plan(Config(initial=3, every=4, updates=7), "building-3")
    assert own.first.updates_total == 12 and own.later.updates_total == 7
    assert own.later.anneal == 0 and own.later.entropy == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Config(()), "Config.tasks: must hold at least one name"),
        (lambda: Config(optimisers=()), "Config.optimisers: must hold"),
        (lambda: Config(("minecar",)), "did you mean 'minecart'"),
        (lambda: Config(fresh=1), "2 episodes or more, got 1"),
        (lambda: brax.Config(("minecart",)), "no body of brax"),
    ],
)
def test_configurations_that_cannot_run_are_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()
