"""Opens source files: finds out what they are not, and reads text, lines and JSON within bounds."""

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO

from consentry.sources.records import RowFault, RowRefused, SourceError

_BLOCK_BYTES: Final = 1024 * 1024
_SAMPLE_BYTES: Final = 64 * 1024
MAX_LINE_CHARACTERS: Final = 4 * 1024 * 1024
"""A longer line of NDJSON is refused unread, so that memory stays flat."""

_ASCII: Final = bytes(range(128))
_NO_CHANCE_BYTES: Final = 12
"""GB18030 text is valid UTF-8 by chance for a character or two; after six, the file is UTF-8 and damaged."""

_CHINESE: Final = ("gb18030", "gbk", "gb2312")
_AGAIN: Final = "Nothing was read; export or copy the file again."
_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def check_file(path: Path) -> None:
    """Check that a file is there and holds something.

    Raises:
        SourceError: it is missing, a folder, unreadable or empty.
    """
    try:
        size = path.stat().st_size
    except OSError as err:
        raise SourceError(f"{path.name} cannot be read ({err.strerror})", hint="Check the path.") from None
    if not path.is_file():
        raise SourceError(f"{path.name} is no file", hint="Give the path of a file.")
    if size == 0:
        raise SourceError(f"{path.name} is empty", hint="Nothing was read; check the export that wrote it.")


def check_encoding(path: Path, encoding: str) -> None:
    """Read a whole text file once, in blocks, and check that it is written in this encoding.

    Raises:
        SourceError: it is not; the message names the line, and GB18030 (GBK) or UTF-16 where the bytes are that.
    """
    check_file(path)
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise SourceError(f"There is no encoding {encoding!r}", hint="Use utf-8 or gb18030.") from None
    with open_bytes(path) as blocks:
        _check_blocks(path, encoding, decoder, blocks)
    if encoding.lower().replace("-", "").replace("_", "") in _CHINESE:
        _check_not_utf8(path, encoding)


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[TextIO]:
    """Open a text file whose encoding was checked; line ends stay as they are, a UTF-8 mark is dropped."""
    name = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding
    try:
        with path.open(encoding=name, newline="") as handle:
            yield handle
    except OSError as err:
        raise SourceError(f"{path.name} cannot be read ({err.strerror})", hint="Check the path.") from None


def read_lines(path: Path, encoding: str) -> Iterator[tuple[int, str | None]]:
    """Yield line number and text of every line that is not blank; None for one that is too long."""
    check_encoding(path, encoding)
    with open_text(path, encoding) as handle:
        number = 0
        while line := handle.readline(MAX_LINE_CHARACTERS):
            number += 1
            is_whole = line.endswith("\n") or len(line) < MAX_LINE_CHARACTERS
            if not is_whole:
                _skip_line(handle)
            if line.strip():
                yield number, line if is_whole else None


def parse_json(text: str) -> object:
    """Parse one JSON value; numbers with a point become ``Decimal``.

    Raises:
        RowRefused: not JSON (NaN and Infinity are not), or nested or counting beyond reason.
    """
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError, ArithmeticError):
        raise RowRefused(RowFault.MALFORMED) from None


def read_json(path: Path, encoding: str, *, max_bytes: int) -> object:
    """Read a file that holds one JSON value.

    Raises:
        SourceError: too large, in another encoding, truncated or otherwise not JSON; with line and column.
    """
    check_file(path)
    if path.stat().st_size > max_bytes:
        raise SourceError(
            f"{path.name} is larger than {max_bytes // 2**20} MiB", hint="Split it, or send NDJSON, which is streamed."
        )
    check_encoding(path, encoding)
    with open_text(path, encoding) as handle:
        text = handle.read()
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as err:
        is_cut = err.pos >= len(text.rstrip()) or err.msg.startswith("Unterminated")
        what = "ends in the middle of its JSON (truncated)" if is_cut else "is not valid JSON"
        raise SourceError(f"{path.name} line {err.lineno} column {err.colno}: the file {what}", hint=_AGAIN) from None
    except (ValueError, RecursionError, ArithmeticError):
        raise SourceError(f"{path.name} is not valid JSON", hint=_AGAIN) from None


@contextmanager
def open_bytes(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a file as an iterator of blocks."""
    try:
        with path.open("rb") as handle:
            yield iter(lambda: handle.read(_BLOCK_BYTES), b"")
    except OSError as err:
        raise SourceError(f"{path.name} cannot be read ({err.strerror})", hint="Check the path.") from None


def _check_blocks(path: Path, encoding: str, decoder: codecs.IncrementalDecoder, blocks: Iterator[bytes]) -> None:
    lines, seen, understood = 1, 0, 0
    for block in blocks:
        for mark, name in _MARKS:
            if seen == 0 and block.startswith(mark) and not encoding.lower().startswith(name):
                raise SourceError(f"{path.name} is {name.upper()}, not {encoding}", hint=f"Pass --encoding {name}.")
        try:
            decoder.decode(block)
        except UnicodeDecodeError as err:
            lines += err.object.count(b"\n", 0, err.start)
            understood += _beyond_ascii(err.object[: err.start])
            raise _wrong_encoding(path, encoding, lines, is_damaged=understood >= _NO_CHANCE_BYTES) from None
        lines += block.count(b"\n")
        seen += len(block)
        understood += _beyond_ascii(block)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise SourceError(
            f"{path.name} line {lines}: the file ends in the middle of a character (truncated)", hint=_AGAIN
        ) from None


def _beyond_ascii(block: bytes) -> int:
    return 0 if block.isascii() else len(block.translate(None, _ASCII))


def _wrong_encoding(path: Path, encoding: str, line: int, *, is_damaged: bool) -> SourceError:
    if encoding.lower().startswith("utf") and not is_damaged and _reads_as_chinese(path):
        return SourceError(
            f"{path.name} line {line} is not {encoding}: the file reads as GB18030 (GBK)",
            hint="Pass --encoding gb18030.",
        )
    return SourceError(
        f"{path.name} line {line} is not {encoding}", hint="Name the file's encoding with --encoding, or save as UTF-8."
    )


def _reads_as_chinese(path: Path) -> bool:
    """Say whether the file decodes as GB18030 and mostly to common Chinese characters where it is not ASCII."""
    decoder = codecs.getincrementaldecoder("gb18030")()
    common = other = 0
    with open_bytes(path) as blocks:
        for block in blocks:
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError:
                return False
            if common + other < _SAMPLE_BYTES:
                beyond = [mark for mark in text[:_SAMPLE_BYTES] if mark > "\x7f"]
                found = sum("\u4e00" <= mark <= "\u9fff" or "\u3000" <= mark <= "\u303f" for mark in beyond)
                common, other = common + found, other + len(beyond) - found
    return common > other


def _check_not_utf8(path: Path, encoding: str) -> None:
    """GB18030 reads almost any bytes: refuse a file that is UTF-8 and not plain ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    has_more = False
    with open_bytes(path) as blocks:
        for block in blocks:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return
            has_more = has_more or not block.isascii()
    if has_more:
        raise SourceError(f"{path.name} is UTF-8, not {encoding}", hint="Leave --encoding out.")


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _skip_line(handle: TextIO) -> None:
    while (rest := handle.readline(MAX_LINE_CHARACTERS)) and not rest.endswith("\n"):
        pass
