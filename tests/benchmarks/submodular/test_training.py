"""The benchmark runs at tiny sizes and promises nothing about them."""

import pytest

from benchmarks.submodular import training
from jaxrl.submodular import subpo


@pytest.mark.slow
def test_measures_tiny_sizes():
    entries = training.measure(subpo.Config(n_envs=4, length=3), seeds=2, lane=1, updates=2, rounds=1)
    assert [entry.unit for entry in entries] == ["updates / s", "updates / CPU-s", "s"]
    assert all(entry.ceiling is None and entry.value > 0 for entry in entries)
    whole, rate = entries[2], entries[0]
    assert abs(whole.value * rate.value / (2 * training.WHOLE) - 1) < 1e-9


def test_gains_are_counted():
    entry = training.gains(rounds=1, batch=2)
    assert entry.unit == "gains / CPU-s" and entry.value > 0
