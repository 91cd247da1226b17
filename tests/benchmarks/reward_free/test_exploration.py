"""The benchmark of exploration at a tiny size: it compares equal runs; no test asserts a time."""

import pytest

from benchmarks.reward_free import exploration


@pytest.mark.parametrize("learner", exploration.MODULES)
def test_both_sides_run_the_same_episodes_before_they_are_timed(learner):
    entries = exploration.compare(learner, episodes=3, seeds=2, rounds=1)
    ours, plain, ratio = (entry.value for entry in entries)
    assert ratio == ours / plain
    apart = float(entries[1].settings.partition(" of their")[0].rpartition(" ")[2])
    assert apart < 1e-10 and "plans in 3 episodes" in entries[0].settings
