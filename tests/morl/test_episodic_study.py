"""What studies of tasks without tables report: volumes, gaps to the bound, and steps of training."""

import numpy as np

from experiments.morl import episodic_study
from experiments.morl.episodic import Config
from jaxrl.baselines import ppo


def result(bound):
    """Two stages, two seeds, and a bound for as many preferences as `bound` has."""
    reached = np.array([[[8.0, 9.0], [6.0, 10.0]], [[9.0, 10.0], [8.0, 10.0]]])[..., : len(bound)]
    pair = np.array([[1.0, 2.0], [3.0, 4.0]])
    return {
        "task": np.array(["building-3"]),
        "variant_0": np.array(["barrier"]),
        **{f"{n}_0": pair for n in ("fresh_volume", "volume", "certified")},
        "bound_0": np.asarray(bound, float),
        "reached_0": reached,
        "feasible_0": np.array([[[1.0, 0.5], [0.0, 0.5]]]),
        "gain_0": np.array([[[1.0, 3.0], [2.0, 2.0]]]),
    }


def test_gaps_are_shares_of_the_bound_over_preferences():
    found = episodic_study.scores(result([10.0, 10.0]))
    np.testing.assert_allclose(found["building-3: barrier, mean gap to the bound, %"].values, [5, 10])
    np.testing.assert_allclose(found["building-3: barrier, largest gap to the bound, %"].values, [10, 20])
    np.testing.assert_allclose(found["building-3: barrier, feasible"], [0.75, 0.25])
    np.testing.assert_allclose(found["building-3: after initialisation, certified"], [1, 2])


def test_tasks_without_a_bound_report_no_gap():
    assert not any("gap" in label for label in episodic_study.scores(result([])))


def test_steps_of_both_stages_are_counted_per_variant():
    config = Config(
        ("building-9",),
        ("barrier", "none"),
        algo=ppo.Config(n_envs=2, length=8),
        seeds=2,
        initial=3,
        every=4,
        rounds=2,
        updates=5,
        selected=1,
    )
    # nine learners in stage 1; nine runs of every variant in stage 2
    assert episodic_study.estimate(config)["env_steps"] == 2 * 16 * (3 * 4 * 9 + 2 * 2 * 5 * 9)
