"""The benchmark runs at a tiny size and counts what it says."""

from benchmarks.measure import parse
from benchmarks.minimax import particles


def test_benchmark_answers_with_one_entry_per_size(capsys):
    particles.main(["--widths", "4", "6", "--runs", "2", "--batch", "3", "--work", "24", "--rounds", "1"])
    entries = parse(capsys.readouterr().out)
    assert [e.name for e in entries] == ["N = 4, 2 runs, batch 3", "N = 6, 2 runs, batch 3"]
    assert all(e.unit == "steps / s" and e.value > 0 and len(e.rounds) == 1 for e in entries)
    assert entries[0].settings.startswith("1 steps per round, cpu")
