"""Texts as JSON lines: ``{"id", "text"}`` in, ``{"id", "text", "spans"}`` out.

A line that is no text says its number and why, never what it holds. Other members than these two do not go out: nobody
has looked at what they hold. The id does, as it is.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Final, NoReturn

from deid.text.spans import Span

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A million characters, the longest text that is read, may be twelve bytes each in JSON; longer lines are not held."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark that some programs write before UTF-8."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """One text; ``number`` is that of its line, from one; ``more`` says whether the line had other members."""

    number: int
    id: str | int
    text: str = field(repr=False)
    more: bool = False


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no text, and why."""

    number: int
    reason: str


def read_lines(stream: IO[bytes]) -> Iterator[TextLine | BadLine]:
    """Yield what stands on each line that is not empty; of a line that is too long no more than its bound is held."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip(stream)
            yield BadLine(number, f"longer than {MAX_LINE_BYTES} bytes")
            continue
        content = line.removeprefix(_MARK) if number == 1 else line
        if content.strip():
            yield _read(number, content)


def written_line(line: TextLine, text: str, spans: Sequence[Span]) -> bytes:
    """Return the line of a text after its identifiers were dealt with; spans are in offsets of the text as it came."""
    told = [
        {"start": span.start, "end": span.end, "type": span.type.value, "score": span.score, "source": span.source}
        for span in spans
    ]
    answer = {"id": line.id, "text": text, "spans": told}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _skip(stream: IO[bytes]) -> None:
    """Go to the end of the line."""
    while (part := stream.readline(MAX_LINE_BYTES)) and not part.endswith(b"\n"):
        pass


def _read(number: int, content: bytes) -> TextLine | BadLine:
    try:
        said = json.loads(content.decode(), parse_constant=_refuse, object_pairs_hook=_object)
    except UnicodeDecodeError:
        return BadLine(number, "not UTF-8")
    except json.JSONDecodeError as err:
        return BadLine(number, f"not JSON at column {err.colno}")
    except (ValueError, RecursionError):
        return BadLine(number, "names something twice, or holds what JSON does not have")
    if not isinstance(said, dict):
        return BadLine(number, "not an object")
    return _checked(number, said)


def _checked(number: int, said: dict[str, object]) -> TextLine | BadLine:
    known, text = said.get("id"), said.get("text")
    if not isinstance(known, str | int) or isinstance(known, bool):
        return BadLine(number, "no id that is a text or a whole number")
    if not isinstance(text, str):
        return BadLine(number, "no text")
    if not (_is_unicode(text) and _is_unicode(str(known))):
        return BadLine(number, "half of a surrogate pair")
    return TextLine(number, known, text, more=len(said) > len(("id", "text")))


def _is_unicode(text: str) -> bool:
    return _SURROGATE.search(text) is None


def _refuse(_name: str) -> NoReturn:
    raise ValueError


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
