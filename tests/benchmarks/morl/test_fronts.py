"""Fronts by time: what is read from processes, and what the table says of it; no test asserts a time."""

import sys

import pytest

from benchmarks.measure import parse
from benchmarks.morl import fronts
from benchmarks.morl.setup import PYTHON


def script(text):
    return [sys.executable, "-c", text]


def test_lines_of_a_process_are_points_and_other_lines_are_not():
    points = fronts.record(script("print('hello'); print('front 1.5 800.0'); print('front 2.5 850.0')"))
    assert points == [(1.5, 800.0), (2.5, 850.0)]
    assert fronts.seconds_to(points, 840.0) == 2.5 and fronts.seconds_to(points, 860.0) is None


def test_a_process_beyond_its_limit_is_ended_and_what_it_found_is_kept():
    endless = script("import time; print('front 1.0 2.0', flush=True); time.sleep(600)")
    assert fronts.record(endless, limit=1.0) == [(1.0, 2.0)]


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "print('front 1.0 2.0'); raise SystemExit(3)"])
def test_a_process_that_fails_is_an_error_with_its_command(text):
    with pytest.raises(SystemExit, match=r"a process ended with status 3: .* -c"):
        fronts.record(script(text))


def test_the_time_to_the_front_stands_only_where_every_seed_reaches_it():
    sea, reached = fronts.PROBLEMS["sea"], [fronts.Point(1.0, 100.0), fronts.Point(2.0, 850.0)]
    entries = fronts.summarise(sea, {"C-MORL": [reached, reached], "x": [reached, reached[:1]]})
    assert [e.unit for e in entries] == ["hypervolume", "CPU-s", "CPU-s", "hypervolume", "CPU-s"]
    assert (entries[0].floor, entries[2].value, entries[2].ceiling) == (862.0, 2.0, 40.0)
    assert entries[4].settings == "1 of 2 seeds reach 99% of 854.85"


def test_without_a_known_front_the_goal_is_what_the_best_peer_ends_with():
    ours = [fronts.Point(2.0, 50.0), fronts.Point(5.0, 90.0)]
    peers = {"x": [[fronts.Point(60.0, 40.0)]], "y": [[fronts.Point(10.0, 40.0), fronts.Point(50.0, 70.0)]]}
    entries = fronts.summarise(fronts.PROBLEMS["minecart"], {"C-MORL": [ours], **peers})
    found = {e.name.partition(", ")[2]: e for e in entries}
    assert found["C-MORL: to what the best peer ends with"].value == 5.0
    assert (found["C-MORL: sooner"].value, found["C-MORL: sooner"].floor) == (10.0, 20.0)
    assert found["x: spent"].settings.startswith("0 of 1 seeds reach")


def test_looking_at_the_clock_does_not_count(capsys):
    def slow():
        sum(range(3_000_000))
        return 5.0

    watch = fronts.Watch(slow, every=1e9)
    before = watch.spent
    watch.show()
    watch.show()
    assert capsys.readouterr().out.count("front ") == 1
    began = fronts.cpu_seconds()
    assert watch.spent - before < began - before


def test_without_the_peers_one_sentence_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(fronts, "PYTHON", tmp_path / "python")
    with pytest.raises(SystemExit, match=r"run: python -m benchmarks.morl setup"):
        fronts.compare("sea", 1, None)


@pytest.mark.peers
@pytest.mark.skipif(not PYTHON.exists(), reason="run python -m benchmarks.morl setup")
@pytest.mark.parametrize("problem", fronts.PROBLEMS)
def test_every_algorithm_finds_something(problem, capsys):
    fronts.main(["--problem", problem, "--rounds", "1", "--seconds", "10"])
    entries = [e for e in parse(capsys.readouterr().out) if e.unit == "hypervolume"]
    assert len(entries) == 1 + len(fronts.PROBLEMS[problem].peers) and all(e.value > 0 for e in entries)
