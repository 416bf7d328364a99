"""Encodings, lines and JSON: what a file is not."""

import pytest

from consentry.sources import files
from consentry.sources.records import RowFault, RowRefused, SourceError

CHINESE = '{"主诉": "头痛三天，伴恶心"}\n' * 3


def test_missing_file_is_named(tmp_path):
    """The message names the file and the cause."""
    with pytest.raises(SourceError, match=r"gone\.csv cannot be read"):
        files.check_file(tmp_path / "gone.csv")


def test_folder_is_no_file(tmp_path):
    """A folder in the place of a file is said so."""
    with pytest.raises(SourceError, match="is no file"):
        files.check_file(tmp_path)


def test_empty_file_is_named(write):
    """An empty file is an error, not an empty result."""
    with pytest.raises(SourceError, match=r"x\.csv is empty"):
        files.check_file(write("x.csv", ""))


def test_gbk_file_read_as_utf8_is_detected_and_named(tmp_path):
    """The message says line, encoding and what to pass; it shows nothing of the text."""
    path = tmp_path / "gbk.csv"
    path.write_bytes(b"name,city\n" + "张三,北京\n".encode("gb18030"))
    with pytest.raises(SourceError, match=r"gbk\.csv line 2 is not utf-8: the file reads as GB18030 \(GBK\)") as error:
        files.check_encoding(path, "utf-8")
    assert error.value.hint == "Pass --encoding gb18030."
    assert "张" not in str(error.value)


def test_file_that_ends_within_a_character_is_truncated(tmp_path):
    """A cut last character is no other encoding."""
    path = tmp_path / "cut.csv"
    path.write_bytes("姓名".encode()[:-1])
    with pytest.raises(SourceError, match=r"cut\.csv line 1: the file ends in the middle of a character"):
        files.check_encoding(path, "utf-8")


def test_damaged_utf8_is_not_called_gbk(tmp_path):
    """One bad byte after much good text is a damage, though the rest would decode as GB18030."""
    path = tmp_path / "bad.csv"
    path.write_bytes("姓名\n头痛三天伴恶心\n".encode() + b"\xfe\xfe\n")
    with pytest.raises(SourceError, match=r"bad\.csv line 3 is not utf-8$"):
        files.check_encoding(path, "utf-8")


def test_other_bytes_are_not_called_gbk(tmp_path):
    """Latin-1 is not Chinese, and neither are random bytes."""
    path = tmp_path / "latin.csv"
    for content in (b"caf\xe9,1\n", b"\xff\xfe\xfd\xfc" * 10 + b"\x81"):
        path.write_bytes(b"a\n" + content)
        with pytest.raises(SourceError) as error:
            files.check_encoding(path, "utf-8")
        assert "GBK" not in str(error.value)


def test_utf16_is_named(tmp_path):
    """Excel's Unicode text is UTF-16."""
    path = tmp_path / "wide.csv"
    path.write_bytes("a,b\n".encode("utf-16"))
    with pytest.raises(SourceError, match="UTF-16") as error:
        files.check_encoding(path, "utf-8")
    assert "--encoding utf-16" in error.value.hint
    files.check_encoding(path, "utf-16")


def test_utf8_file_read_as_gbk_is_named(write, tmp_path):
    """GB18030 reads almost anything, so the other mistake is looked for as well."""
    with pytest.raises(SourceError, match="is UTF-8, not gb18030"):
        files.check_encoding(write("u.csv", CHINESE), "gb18030")
    path = tmp_path / "g.csv"
    path.write_bytes(CHINESE.encode("gb18030"))
    files.check_encoding(path, "gb18030")
    files.check_encoding(write("plain.csv", "a,b\n"), "gb18030")


def test_unknown_encoding_is_refused(write):
    """A misspelt encoding is said so."""
    with pytest.raises(SourceError, match="no encoding"):
        files.check_encoding(write("x.csv", "a"), "utf-9")


def test_lines_keep_their_numbers(write):
    """Blank lines count but are not handed on; a byte order mark is dropped."""
    path = write("x.ndjson", "\ufeffa\n\n  \r\nb")
    assert list(files.read_lines(path, "utf-8")) == [(1, "a\n"), (4, "b")]


def test_line_that_is_too_long_is_not_held(write):
    """Its number is told, its text is gone, and the next line is read."""
    path = write("x.ndjson", "x" * (files.MAX_LINE_CHARACTERS * 2 + 5) + "\nb\n")
    assert list(files.read_lines(path, "utf-8")) == [(1, None), (2, "b\n")]


@pytest.mark.parametrize("text", ["{", "[1,]", "NaN", "1e999999999999999999999", "[" * 200_000, "9" * 5000])
def test_what_is_no_json_is_refused(text):
    """Truncated, not JSON, or beyond reason."""
    with pytest.raises(RowRefused) as refused:
        files.parse_json(text)
    assert refused.value.fault is RowFault.MALFORMED


def test_truncated_json_file_is_named_with_its_place(write):
    """Line and column of the end, and nothing of the text."""
    for text in ('{"a": [1,\n2', '{"a": "张三'):
        with pytest.raises(SourceError, match=r"x\.json line \d column \d+: the file ends in the middle") as error:
            files.read_json(write("x.json", text), "utf-8", max_bytes=1000)
        assert "张三" not in str(error.value)
        assert error.value.__cause__ is None


def test_json_that_is_wrong_in_the_middle_is_not_called_truncated(write):
    """A stray character is another mistake."""
    with pytest.raises(SourceError, match=r"line 1 column 7: the file is not valid JSON"):
        files.read_json(write("x.json", '{"a": ?, "b": 1}'), "utf-8", max_bytes=1000)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": NaN}'])
def test_json_beyond_reason_is_refused(write, text):
    """Nesting without end, and numbers that are none."""
    with pytest.raises(SourceError, match="is not valid JSON"):
        files.read_json(write("x.json", text), "utf-8", max_bytes=10**6)


def test_file_that_is_too_large_is_refused(write):
    """A bundle is held in memory, so it has a bound."""
    with pytest.raises(SourceError, match="larger than"):
        files.read_json(write("x.json", "[1, 2, 3]"), "utf-8", max_bytes=5)
