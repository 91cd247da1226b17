"""Meta-runs on two devices: which ratio is of which side, and that a worker does its generations."""

import pytest

from benchmarks.measure import Clock
from benchmarks.meta import devices, devices_worker


def test_ratios_are_of_wall_time_by_round():
    rounds = [[Clock(9, 1.0)] * 2, [Clock(9, 1.5)] * 2, [Clock(9, 0.5), Clock(9, 1.0)]]
    clocks = dict(zip(devices.SIDES, rounds, strict=True))
    *_, longer, faster = devices.summarise(clocks, ["a", "b", "c"])
    assert longer.rounds == (1.5, 1.5) and longer.ceiling == 1.15
    assert faster.rounds == (2.0, 1.0) and faster.floor == 1.7


@pytest.mark.slow
def test_a_round_is_as_many_generations_as_are_asked_for():
    step, carry = devices_worker.rounds(members=1, work=2, pairs=2, updates=5, generations=2)
    state, _ = step(carry)
    assert state.updates.tolist() == [2]
