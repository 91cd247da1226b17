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


def test_the_ratio_is_that_of_the_second_side_to_the_first_by_round():
    entries = lifetimes.summarise({"lookups": [1.0, 2.0, 4.0], "products": [3.0, 4.0, 8.0]}, "text")
    assert [entry.value for entry in entries] == [2, 4, 2]
    assert entries[-1].rounds == (3, 2, 2) and entries[-1].name == "LPG lifetimes, products / lookups"
