"""Milestones of the vehicle's runs by hand, and how runs without them are counted."""

import numpy as np

from experiments.reward_free import agv

EPISODES = np.array([4.0, 0.0, 6.0, 10.0, 10.0])
GOALS = np.array([0.0, 0.0, 1.0, 8.0, 10.0])


def test_milestones_are_numbers_of_episodes_until_the_end_of_an_update():
    """The first goal lies in the third update; 18 of the last 20, then 10 of the last 10."""
    assert agv.milestones(EPISODES, GOALS, 20) == (10, 30)
    assert agv.milestones(EPISODES, GOALS, 10) == (10, 30)
    assert agv.milestones(EPISODES, GOALS, 25) == (10, np.inf)  # 19 of 26
    assert agv.milestones(EPISODES, 0 * GOALS, 10) == (np.inf, np.inf)


def test_too_few_episodes_reach_no_milestone():
    assert agv.milestones(np.array([5.0]), np.array([5.0]), 10) == (5, np.inf)


def test_recent_shares_are_those_of_whole_updates():
    np.testing.assert_allclose(agv.recent_share(EPISODES, GOALS, 10), [0, 0, 0.1, 0.8, 1])
    np.testing.assert_allclose(agv.recent_share(EPISODES, GOALS, 20)[-1], 18 / 20)


def test_seeds_without_a_milestone_are_the_largest_of_the_median():
    result = {
        "shelves": np.array([1]),
        "method": np.array(["PPO"]),
        "recent": np.array(10),
        "episodes": np.stack([EPISODES] * 3)[None, None],
        "goals": np.stack([GOALS, 0 * GOALS, EPISODES])[None, None],
        "greedy": np.array([[[1.0, 0.0, 1.0]]]),
    }
    found = agv.scores(result)
    first = found["PPO, 1 shelf: episodes to first goal"]
    np.testing.assert_allclose(first.values, [10])
    assert first.interval is None and first.note == "median; 2 of 3 seeds reach it"
    np.testing.assert_allclose(found["PPO, 1 shelf: seeds with 90 % success"].values.mean(), 2 / 3)
    np.testing.assert_allclose(found["PPO, 1 shelf: successes of the last policy, in %"], [100, 0, 100])
    result["goals"][0, 0, 2] = 0
    assert np.isnan(agv.scores(result)["PPO, 1 shelf: episodes to first goal"].values).all()
