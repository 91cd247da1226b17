"""The benchmark of growth at tiny sizes: a row per size, none of which is promised anything."""

import pytest

from benchmarks.measure import parse
from benchmarks.submodular import growth


@pytest.mark.slow
def test_every_cost_has_a_row_per_size(capsys):
    growth.main(["--rounds", "1", *growth.COMMANDS[0][2]])
    entries = parse(capsys.readouterr().out)
    names = [entry.name for entry in entries]
    assert len(names) == len(set(names)) == 8 and all(entry.value > 0 for entry in entries)
    assert "greedy, 4 chosen" in names and "one of the first 2 items, capacity 2" in names
    assert "update, natural gradient, 10 iterations, 3 states" in names
