"""Benchmarks of tabular explorers at tiny sizes: ratios, sizes and parity; no test asserts a time."""

import numpy as np
import pytest

from benchmarks.measure import Clock
from benchmarks.reward_free import instances, tabular, worker


def test_every_seed_explores_the_episodes_that_are_counted():
    run, states, _ = worker.program(6, 4, 5, 3)
    first = run(states)
    assert np.asarray(first.counts).sum((1, 2, 3, 4)).tolist() == [20, 20, 20]
    second = run(first)
    assert np.asarray(second.counts).sum((1, 2, 3, 4)).tolist() == [40, 40, 40]
    assert len({x.tobytes() for x in np.asarray(second.counts)}) == 3


def test_ratios_are_rates_of_episodes_by_round():
    clocks = [[Clock(1.0, 1.0), Clock(2.0, 2.0)], [Clock(2.0, 2.0)] * 2, [Clock(1.0, 9.0)] * 2]
    clocks.append([Clock(5.0, 5.0)] * 2)
    entries = tabular.summarise(25, 20, clocks, (160, 160, 10, 1), list("abcd"), 16)
    assert [entry.value for entry in entries] == [120, 80, 10, 0.2, 12, 8]
    assert entries[4].rounds == (16, 8) and entries[4].floor == 20


def test_transitions_are_those_of_the_tables_and_leave_pairs_unvisited():
    given, P = instances.transitions(25, 20, 3), instances.tables(25)
    s, a, x = given.reshape(-1, 3).T
    assert (P[s, a, x] > 0).all()
    np.testing.assert_array_equal(given[:, 1:, 0], given[:, :-1, 2])
    assert len({*zip(s.tolist(), a.tolist(), strict=True)}) < 25 * instances.ACTIONS


@pytest.mark.skipif(not tabular.PEER_PYTHON.exists(), reason="the peer's environment is missing")
def test_index_equals_the_peers_on_equal_transitions():
    assert tabular.difference(6, 5, 7) < 1e-10


def test_plans_report_both_sides_and_their_ratio():
    entries = tabular.plans(rewards=4, rounds=1, horizon=3)
    assert [entry.unit for entry in entries] == ["plans / CPU-s", "plans / CPU-s", "ratio"]
    assert entries[2].value == pytest.approx(entries[0].value / entries[1].value)
