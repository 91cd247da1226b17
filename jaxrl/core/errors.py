"""Errors a user can act on, each with the exit status of the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class JaxrlError(Exception):
    """An error that says in one sentence which field, file or step is wrong, and the fix."""

    exit_code: ClassVar[int] = 1


class UsageError(JaxrlError, ValueError):
    """What was asked for cannot be done: a field, an option, a name."""

    exit_code = 2


class MissingExtra(JaxrlError, ImportError):
    """An optional library is not installed; the sentence contains the command that installs it."""

    exit_code = 3


class NumericalFailure(JaxrlError, ArithmeticError):
    """A run produced a number that is not finite."""

    exit_code = 4


class CorruptInput(JaxrlError, ValueError):
    """A file is damaged, incomplete, or not what it claims to be."""

    exit_code = 5


class StorageError(JaxrlError, OSError):
    """Something could not be written."""

    exit_code = 6


class Preempted(JaxrlError):
    """Stopped by a signal after a verified checkpoint; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # pyright: ignore[reportAttributeAccessIssue]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown `name`: the most alike of the `known` ones, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
