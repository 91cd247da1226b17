"""The benchmark counts what it says it counts; no test asserts a time."""

from benchmarks import dual_rl as bench
from jaxrl.dual_rl import learner


def test_entries_of_a_tiny_run():
    config = learner.Config(batch_size=4, widths=())
    found = bench.measure(config, 2, 2, updates=2, rounds=2)
    assert {(e.name, e.unit) for e in found} == {
        ("2 agents, 2 as one batch", "updates / CPU-s"),
        ("2 agents, 2 as one batch", "updates / s"),
    }
    assert all(e.value > 0 and len(e.rounds) == 2 for e in found)
    assert bench.multiplying(config, rounds=1, repeats=2).value > 0


def test_flop_by_hand():
    """Linear networks, batch 4: V 17 x 1, Q 23 x 1, policy 17 x 6."""
    assert bench.flop(learner.Config(batch_size=4, widths=())) == 8 * (5 * 17 + 8 * 23 + 3 * 102)
