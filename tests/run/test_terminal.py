"""Lines on standard output and standard error, whatever the two are."""

import io
import os
import sys

import pytest

from jaxrl.run import terminal


class Bare:
    """A stream that can only be written to, as some services and notebooks have."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_stream_without_isatty_is_no_terminal_and_takes_lines(monkeypatch):
    bare = Bare()
    monkeypatch.setattr(sys, "stderr", bare)
    assert not terminal.interactive(sys.stderr)
    terminal.say("a line")
    assert bare.text == "a line\n"


def test_no_stream_and_a_closed_one_take_nothing_and_raise_nothing(monkeypatch, capsys):
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(sys, "stdout", stream)
        assert not terminal.interactive(stream)
        terminal.say("lost")
        terminal.out("lost")


def test_after_a_broken_pipe_everything_that_is_printed_is_discarded():
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stream:
        terminal.say("nobody reads this", stream)
        print("nor this", file=stream, flush=True)  # raises where the pipe is still broken


def test_letters_that_a_stream_cannot_show_are_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    terminal.say("naïve 界", stream)
    assert raw.getvalue() == b"na\\xefve \\u754c\n"


@pytest.mark.parametrize("text", ["", "two\nlines"])
def test_lines_are_printed_as_they_are(text, capsys):
    terminal.say(text)
    terminal.out(text)
    assert capsys.readouterr() == (f"{text}\n", f"{text}\n")
