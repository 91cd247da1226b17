"""The benchmark of environment steps at tiny sizes: it counts what it says; no test asserts a time."""

import numpy as np
import pytest

from benchmarks.measure import Clock, parse
from benchmarks.morl import environments


def test_a_round_writes_out_every_step_and_starts_again_after_ends():
    run, carry, _ = environments.program("DeepSeaTreasure", envs=4, steps=250)
    obs, reward, terminated, truncated = map(np.asarray, run(carry)[1])
    assert obs.shape == (250, 4, 2) and reward.shape == (250, 4, 2)
    assert terminated.any() and not (terminated & truncated).any()
    ends = terminated | truncated
    assert np.array_equal(reward[..., 0] > 0, terminated)
    for lane in range(4):
        lengths = np.diff(np.flatnonzero(np.append(True, ends[:, lane])))
        assert lengths.max() <= 100
    after = np.argwhere(ends[:-1])
    assert all(obs[t + 1, lane].sum() <= 1 for t, lane in after)  # one move from the start


def test_ratios_are_ours_over_theirs_by_round():
    clocks = [[Clock(1.0, 2.0), Clock(2.0, 2.0)], [Clock(4.0, 4.0)] * 2]
    entries = environments.summarise("x", 8, (100, 10), clocks, ["a", "b"])
    assert [entry.value for entry in entries] == [600, 20, 30]
    assert entries[-1].rounds == (40, 20) and entries[-1].floor == 50


@pytest.mark.slow
def test_every_environment_has_its_rows(capsys):
    pytest.importorskip("mo_gymnasium")
    for _, _, tiny in environments.COMMANDS:
        environments.main([*tiny, "--rounds", "1"])
    entries = parse(capsys.readouterr().out)
    assert len(entries) == 3 * len(environments.PEERS) + len(environments.ALONE)
    assert all(entry.value > 0 for entry in entries)
