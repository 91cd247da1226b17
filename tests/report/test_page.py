"""Parts of pages."""

from jaxrl.report import page
from tests.report.markup import Markup


def test_text_is_escaped():
    assert page.text("<a href='x'>&") == "&lt;a href=&#x27;x&#x27;&gt;&amp;"


def test_parts_without_content_are_left_out():
    assert page.section("Empty", "") == ""
    assert page.table(("a",), []) == ""


def test_a_page_holds_its_parts_and_no_address():
    parts = [
        page.section("Title <1>", page.pairs([("name", "<value>")]), "warning"),
        page.details("more", page.table(("n",), [("1",)], numeric=(0,))),
        page.picture("a.png", "a", "caption"),
    ]
    text = page.page("Head & foot", parts, refresh_s=3.0)
    found = Markup(text)
    assert {"Title <1>", "<value>", "Head & foot", "more"} <= set(found.words)
    assert found.addresses == ["a.png"]
    assert "content='3'" in text
    assert "<td class='n'>1</td>" in text


def test_numbers_and_intervals_are_dashes_where_there_are_none():
    assert (page.number(None), page.interval(None)) == ("-", "-")
    assert (page.number(1 / 3), page.interval((-2.0, 1234567.0))) == ("0.3333", "[-2, 1.235e+06]")
