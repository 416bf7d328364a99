"""Texts as JSON lines: what is read, what is refused, and what goes out."""

import io
import json

import pytest

from deid.text import Kind, Span
from deid.text import lines as module
from deid.text.lines import BadLine, TextLine, read_lines, written_line


def read(content: bytes) -> list[TextLine | BadLine]:
    """The lines of a file."""
    return list(read_lines(io.BytesIO(content)))


def test_byte_order_marks_line_ends_and_empty_lines_are_no_texts():
    """What Windows programs write is read; an empty line counts, and says nothing."""
    said = '\ufeff{"id": 7, "text": "头痛"}\r\n\r\n{"id": "b", "text": ""}'.encode()
    assert read(said) == [TextLine(1, 7, "头痛"), TextLine(3, "b", "")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not JSON at column 1"),
        (b'["a"]', "not an object"),
        (b'{"text": "x"}', "no id that is a text or a whole number"),
        (b'{"id": true, "text": "x"}', "no id that is a text or a whole number"),
        (b'{"id": 1.5, "text": "x"}', "no id that is a text or a whole number"),
        (b'{"id": 1}', "no text"),
        (b'{"id": 1, "text": 5}', "no text"),
        (b'{"id": 1, "text": "\\ud800"}', "half of a surrogate pair"),
        (b'{"id": 1, "id": 2, "text": "x"}', "names something twice, or holds what JSON does not have"),
        (b'{"id": NaN, "text": "x"}', "names something twice, or holds what JSON does not have"),
        (b"[" * 100_000, "names something twice, or holds what JSON does not have"),
        (b'{"id": 1, "text": "\xff"}', "not UTF-8"),
    ],
)
def test_a_bad_line_says_its_number_and_why(line, reason):
    """The lines around it are read all the same."""
    good = b'{"id": 1, "text": "x"}'
    assert read(b"\n".join([good, line, good])) == [TextLine(1, 1, "x"), BadLine(2, reason), TextLine(3, 1, "x")]


def test_a_line_that_is_too_long_is_skipped(monkeypatch):
    """Its rest is not taken for further lines; one that just fits is read."""
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 64)
    fits = json.dumps({"id": 1, "text": "x" * (64 - 21)}).encode()
    assert len(fits) == 64
    found = read(fits + b"\n" + b"y" * 300 + b"\n" + fits)
    assert [type(line) for line in found] == [TextLine, BadLine, TextLine]
    assert [line.number for line in found] == [1, 2, 3]


def test_other_members_do_not_go_out():
    """Nobody has looked at what they hold; the line says that there were some."""
    (line,) = read(b'{"id": 1, "text": "x", "name": "secret"}')
    assert line.more
    assert json.loads(written_line(line, "y", [])) == {"id": 1, "text": "y", "spans": []}


def test_spans_go_out_with_kind_score_and_rule():
    """As the issue's format has it; the text is written as it is, not in escapes."""
    written = written_line(
        TextLine(1, "a", "头痛13800138000"), "头痛〔手机〕", [Span(2, 13, Kind.MOBILE, 0.9, "mobile")]
    )
    assert "头痛〔手机〕".encode() in written
    span = {"start": 2, "end": 13, "type": "MOBILE", "score": 0.9, "source": "mobile"}
    assert json.loads(written) == {"id": "a", "text": "头痛〔手机〕", "spans": [span]}


def test_repr_shows_no_text():
    """A line is a person's words."""
    assert "头痛" not in repr(TextLine(1, "a", "头痛"))
