"""Costs at tiny sizes: every comparison has its ratio, taken by round; no test asserts a time."""

import pytest

from benchmarks.measure import parse
from benchmarks.meta import costs


def test_sides_take_turns_and_the_first_round_is_not_counted():
    called = []
    sides = {name: lambda name=name: called.append(name) for name in "ab"}
    seconds = costs.clocked(sides, rounds=2)
    assert called == list("ababab")
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


@pytest.mark.slow
@pytest.mark.parametrize("row", costs.COMMANDS, ids=lambda row: row[1][0])
def test_every_comparison_ends_with_a_ratio_that_something_is_asked_of(row, capsys):
    costs.main(["--rounds", "2", *row[2]])
    *sides, ratio = parse(capsys.readouterr().out)
    assert len(sides) >= 2 and all(entry.value > 0 for entry in sides)
    assert ratio.unit == "ratio" and (ratio.floor or ratio.ceiling)
    if row[1] == ["remat"]:
        stored, again = (entry.value for entry in sides if "temporary" in entry.unit)
        assert ratio.value == again / stored < 1
