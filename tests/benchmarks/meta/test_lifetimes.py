"""The comparison of two ways to run lifetimes: equal returns first, then ratios round by round."""

import jax.numpy as jnp
import pytest

from benchmarks.meta import lifetimes


def test_sides_with_different_returns_are_not_timed():
    sides = {"a": lambda x: x, "b": lambda x: x + 1e-3}
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        lifetimes.compare(sides, dict.fromkeys(sides, (jnp.zeros(2),)), rounds=1)


def test_every_side_is_timed_in_every_round():
    sides = {"a": lambda x: x, "b": lambda x: x + 1e-6}
    seconds = lifetimes.compare(sides, dict.fromkeys(sides, (jnp.zeros(2),)), rounds=3)
    assert {name: len(rounds) for name, rounds in seconds.items()} == {"a": 3, "b": 3}


def test_report_shows_medians_and_the_ratio_of_the_second_side_to_the_first(capsys):
    lifetimes.report({"lookups": [1.0, 2.0, 4.0], "products": [3.0, 4.0, 8.0]})
    assert capsys.readouterr().out.splitlines() == [
        "lookups: 2.00 CPU-s (1.00, 2.00, 4.00)",
        "products: 4.00 CPU-s (3.00, 4.00, 8.00)",
        "ratio: 2.00 (3.00, 2.00, 2.00)",
    ]
