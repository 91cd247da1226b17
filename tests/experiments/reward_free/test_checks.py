"""Checks that experiments share name the field and what it must be."""

import pytest

from experiments.reward_free.checks import check_increasing, check_methods
from jaxrl.core.errors import UsageError


def test_methods_are_given_and_given_once():
    check_methods(("a", "b"))
    for methods in ((), ("a", "a")):
        with pytest.raises(UsageError, match=r"Config\.methods: must be at least one, each once"):
            check_methods(methods)


def test_numbers_increase_from_the_least_one_on():
    check_increasing("budgets", (10, 30), 10, 10)
    for found in ((), (5, 10), (20, 10), (10, 10), (10, 15)):
        with pytest.raises(UsageError, match=r"Config\.budgets: must increase from 10 on in multiples of 10"):
            check_increasing("budgets", found, 10, 10)
    with pytest.raises(UsageError, match=r"Config\.dimensions: must increase from 2 on, got \(1,\)"):
        check_increasing("dimensions", (1,), 2)
