"""The benchmark of HF-UCRL-RFE++ at a tiny size: it compares equal runs; no test asserts a time."""

from benchmarks.reward_free import exploration


def test_both_sides_run_the_same_episodes_before_they_are_timed():
    entries = exploration.compare(episodes=3, seeds=2, rounds=1)
    ours, plain, ratio = (entry.value for entry in entries)
    assert ratio == ours / plain
    apart = float(entries[1].settings.rpartition(" ")[2])
    assert apart < 1e-10 and "3 plans in 3 episodes" in entries[0].settings
