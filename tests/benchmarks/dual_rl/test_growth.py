"""The benchmark of dual RL's growth at tiny sizes: a row per size and kind."""

import pytest

from benchmarks.dual_rl import growth
from benchmarks.measure import parse


@pytest.mark.slow
def test_every_kind_of_batch_has_a_row_per_size(capsys):
    growth.main(["--rounds", "1", *growth.COMMANDS[0][2]])
    names = [entry.name for entry in parse(capsys.readouterr().out)]
    assert len(names) == len(set(names)) == 8
    assert "update, weights by a share, 200 rows" in names and "start, 100 rows" in names


def test_a_mask_drops_every_second_row():
    assert growth.data(8, True).reference.mask.tolist() == [True, False] * 4
    assert growth.data(8, False).reference.mask is None
