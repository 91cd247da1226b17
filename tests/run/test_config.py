"""Configurations as JSON and back."""

from jaxrl.run.config import differences


def test_differences_lists_dotted_paths():
    old = {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    new = {"a": 1, "b": {"c": 5, "d": 3}, "f": 6}
    assert differences(old, new) == ["b.c: 2 -> 5", 'e: 4 -> "(absent)"', 'f: "(absent)" -> 6']
