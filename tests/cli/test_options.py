"""Options of the commands: checks at construction, and what is taken from a list of words."""

import pytest

from jaxrl.cli import options
from jaxrl.core.errors import UsageError


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"devices": 0}, "devices: must be >= 1, got 0"),
        ({"processes": 2}, "processes: several need --coordinator HOST:PORT and --processes N >= 2"),
        ({"coordinator": "host:1"}, "processes: several need"),
        ({"coordinator": "host", "processes": 2}, "coordinator: must be HOST:PORT, got 'host'"),
        ({"coordinator": "host:1", "processes": 2, "process": 2}, r"process: must lie in \[0, 2\), got 2"),
    ],
)
def test_options_that_contradict_each_other_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        options.ComputeOptions(**fields)
    assert options.ComputeOptions(coordinator="host:1", processes=2, process=1).process == 1


def test_a_member_is_shared_by_at_least_one_device():
    with pytest.raises(ValueError, match="work: must be >= 1, got 0"):
        options.RunOptions(work=0)
    assert options.ResumeOptions(work=2).work == 2 and options.RunOptions().work is None


def test_the_width_of_a_lane_is_checked_with_the_options():
    with pytest.raises(UsageError, match="lane: must be an integer >= 1 or 'auto', got 0"):
        options.RunOptions(lane=0)
    assert options.SweepOptions(lane=4).lane == 4


def test_options_are_taken_out_of_the_words_in_either_form():
    args = ["a", "--x", "1", "--y", "--x=2", "b"]
    assert options.take_options(args, "--x") == ["1", "2"]
    assert args == ["a", "--y", "b"]
    assert options.take_flag(args, "--y")
    assert not options.take_flag(args, "--y")
    assert args == ["a", "b"]


def test_an_option_without_a_value_or_given_twice_is_refused():
    with pytest.raises(UsageError, match="--x: needs a value"):
        options.take_options(["a", "--x"], "--x")
    with pytest.raises(UsageError, match="--x: given 2 times"):
        options.take_option(["--x=1", "--x=2"], "--x")
    assert options.take_option(["--y=1"], "--x") is None
