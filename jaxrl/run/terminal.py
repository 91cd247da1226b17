"""Lines on standard output and standard error, which may be pipes, closed, or absent as in a service."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any


def say(text: str, stream: Any = None) -> None:
    """Prints one line, by default on standard error; a stream that takes nothing is no error.

    A pipe that nobody reads any more, as after `| head`, is replaced by the null device, so that whatever is
    printed later by anyone is no error either.
    """
    stream = sys.stderr if stream is None else stream
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        _discard(stream)
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode(), file=stream, flush=True)
    except (OSError, ValueError, AttributeError):  # closed, or no stream at all
        pass


def out(text: str) -> None:
    """Prints one line on standard output, as `say` does."""
    if sys.stdout is not None:
        say(text, sys.stdout)


def interactive(stream: Any) -> bool:
    """Whether a stream is a terminal; False for one that cannot say."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def _discard(stream: Any) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
