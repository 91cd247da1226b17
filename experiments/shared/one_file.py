"""A page that a run keeps as one file, small enough to be sent by mail."""

from __future__ import annotations

from collections.abc import Sequence

from jaxrl.core.errors import UsageError
from jaxrl.report import page

LARGEST = 2_000_000  # bytes of a page


def render(name: str, title: str, parts: Sequence[str], smaller: str) -> str:
    """The document of `parts`, which are markup.

    name: what an error calls the page. smaller: what to do where it is too large.

    Raises:
        UsageError: the page has more than 2 MB.
    """
    text = page.page(title, parts)
    size = len(text.encode())
    if size > LARGEST:
        raise UsageError(f"{name}: the page has {size} bytes, more than {LARGEST}; {smaller}")
    return text
