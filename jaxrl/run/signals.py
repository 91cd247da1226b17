"""SIGTERM and SIGINT as a request to stop in order: after a checkpoint in training, at once elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from jaxrl.core.errors import Preempted

SIGNALS = (signal.SIGTERM, signal.SIGINT)
IMPATIENT_S = 10.0


class Stop:
    """The signals that arrived so far; `signal` is None or the number of the first signal."""

    signal: int | None = None

    @property
    def name(self) -> str:
        """The name of the signal, `SIGTERM` or `SIGINT`."""
        return signal.Signals(self.signal).name if self.signal is not None else "no signal"


@contextlib.contextmanager
def catch(say: Callable[[str], None]) -> Iterator[Stop]:
    """Turns the first signal into `Stop.signal`; a second one within 10 s ends the process at once.

    Leaving at once is safe: files are replaced atomically, and a checkpoint counts only with its manifest. In
    a thread other than the main one nothing is caught.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    since = 0.0

    def handle(number: int, _frame: object) -> None:
        nonlocal since
        now = time.monotonic()
        if stop.signal is not None and now - since < IMPATIENT_S:
            os._exit(128 + number)
        stop.signal, since = number, now
        say(f"{stop.name}: stopping after a checkpoint; once more within {IMPATIENT_S:.0f} s stops at once")

    previous = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupting(hint: str) -> Iterator[None]:
    """Turns SIGTERM into `Preempted` wherever the block is, unless `catch` is open inside it.

    A second one ends the process at once; SIGINT is a KeyboardInterrupt already. In a thread other than the
    main one nothing is caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Preempted(f"stopped by {signal.Signals(number).name}; {hint}", number)

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
