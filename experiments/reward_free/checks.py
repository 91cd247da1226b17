"""Checks of configurations that several experiments share."""

from __future__ import annotations

from collections.abc import Sequence

from jaxrl.core.errors import UsageError


def check_methods(methods: Sequence[str]) -> None:
    """Raises UsageError unless there is a method, and each only once."""
    if not methods or len(set(methods)) < len(methods):
        raise UsageError(f"Config.methods: must be at least one, each once, got {methods}")


def check_increasing(field: str, found: Sequence[int], least: int, multiple: int = 1) -> None:
    """Raises UsageError unless numbers increase from `least` or more on and are multiples of `multiple`."""
    what = f"must increase from {least} on" + (f" in multiples of {multiple}" if multiple > 1 else "")
    increases = list(found) == sorted(set(found)) and min(found, default=least - 1) >= least
    if not increases or any(n % multiple for n in found):
        raise UsageError(f"Config.{field}: {what}, got {found}")
