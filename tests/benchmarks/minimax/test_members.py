"""The benchmark of members at a tiny size; no test asserts a time."""

from benchmarks.measure import parse
from benchmarks.minimax import members


def test_both_ways_and_their_ratio_have_a_row(capsys):
    members.main(["--widths", "4", "--runs", "2", "--batch", "3", "--steps", "2", "--rounds", "1"])
    entries = parse(capsys.readouterr().out)
    assert [e.unit for e in entries] == ["CPU-ms a step", "CPU-ms a step", "ratio"]
    assert entries[2].value == entries[0].value / entries[1].value > 0
