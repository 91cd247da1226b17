"""Pages of one file: what stands in them, and the refusal of large ones."""

import pytest

from experiments.shared import one_file
from jaxrl.core.errors import UsageError


def test_a_page_holds_its_title_and_parts():
    text = one_file.render("front", "A < B", ["<p>one</p>", "<p>two</p>"], "show less")
    assert "<title>A &lt; B</title>" in text and "<p>one</p><p>two</p>" in text


def test_a_page_above_two_megabytes_is_refused():
    with pytest.raises(UsageError, match=r"front: the page has 2.* bytes, more than 2000000; show less"):
        one_file.render("front", "A", ["x" * one_file.LARGEST], "show less")
