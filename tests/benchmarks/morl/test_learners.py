"""The benchmark of vector learners: ratios, counts, and that every part runs; no test asserts a time."""

import numpy as np
import pytest

from benchmarks.measure import Clock, parse
from benchmarks.morl import learners


def test_growth_is_by_round_and_against_one_run(monkeypatch):
    clocks = {1: [Clock(1.0), Clock(2.0)], 6: [Clock(5.0), Clock(14.0)]}
    monkeypatch.setattr(learners, "interleaved", lambda sides, rounds: clocks)
    sides = dict.fromkeys(clocks, learners.Side(None, None, 3.0))
    entries = learners.growth("M =", sides, learners.LEARNERS, "text", 2)
    assert [e.name for e in entries] == ["M = 1", "M = 6", "M = 6 / M = 1"]
    assert [e.value for e in entries] == [1500.0, 9500.0, 6.0]
    assert entries[-1].rounds == (5.0, 7.0) and entries[-1].ceiling == 7
    assert "compiled in 3.0 CPU-s" in entries[0].settings


def test_sides_take_turns_after_one_warm_up_each():
    order = []

    def side(name):
        return learners.Side(lambda state: order.append(name) or np.float32(state + 1), np.float32(0), 0.0)

    clocks = learners.interleaved({"a": side("a"), "b": side("b")}, 2)
    assert order == ["a", "b"] * 3 and [len(x) for x in clocks.values()] == [2, 2]


@pytest.mark.slow
def test_every_part_has_its_rows(capsys):
    for _, _, tiny in learners.COMMANDS:
        learners.main([*tiny, "--rounds", "1"])
    entries = parse(capsys.readouterr().out)
    assert [e.name for e in entries if e.unit == "ratio"] == [
        "3 objectives / scalar",
        "stage 1, M = 2 / stage 1, M = 1",
        "stage 2, runs: 2 / stage 2, runs: 1",
        "evaluation, insertion and selection / a round",
    ]
    assert all(e.value > 0 for e in entries)
