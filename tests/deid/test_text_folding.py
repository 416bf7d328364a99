"""Folding and the way back."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.text.folding import _OTHERS, _TABLE, fold

_TRICKY = (
    "0189１３８３۸೧𝟙⓪⑩①½㎎㈱ﬀ㍘－—–‐ー，。！．＠（ＡｚX中手机"
    " \u3000\u00a0\u200b\u200d\u2060\ufe0f\u20e3\u0301\u3164\u00ad"
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("１３８００１３８０００", "13800138000"),
        ("138\u200b0013\u200d8000", "13800138000"),
        ("1️⃣3️⃣8️⃣", "138"),
        ("٣۸೧𝟙", "3811"),
        ("138—0013–8000", "138-0013-8000"),
        ("138\u30000013\u00a08000", "138 0013 8000"),
        ("ｚｈａｎｇ＠ｑｑ．ｃｏｍ", "zhang@qq.com"),
        ("1\u03363\u03368\u0336", "138"),
        ("一，二！三；四？", "一，二！三；四？"),
        ("１\u31643", "13"),
    ],
)
def test_one_spelling_for_what_looks_alike(text: str, folded: str) -> None:
    """Digits, separators and letters become ASCII; invisible characters go; Chinese stays."""
    assert fold(text).text == folded


def test_offsets_cover_what_was_folded_away() -> None:
    """The invisible characters inside and after a stretch belong to it."""
    text = "a\u200b1️⃣3️⃣b"
    folded = fold(text)
    assert folded.text == "a13b"
    assert folded.original_span(1, 3) == (2, 8)
    assert text[2:8] == "1️⃣3️⃣"


def test_one_character_that_becomes_several_is_covered_whole() -> None:
    """Half of an expansion maps to its whole original character."""
    folded = fold("x⑩y")
    assert folded.text == "x10y"
    assert folded.original_span(1, 2) == (1, 2)
    assert folded.original_span(2, 4) == (1, 3)


@given(st.text(st.sampled_from(_TRICKY) | st.characters(), max_size=60))
def test_every_folded_character_points_at_its_source(text: str) -> None:
    """Folding the original character at an offset gives the folded character back, but for the brackets of a mark."""
    folded = fold(text)
    for index, character in enumerate(folded.text):
        start, end = folded.original_span(index, index + 1)
        assert 0 <= start < end <= len(text)
        assert character in fold(text[start]).text or character == text[start] in "〔〕"


@given(st.text(st.sampled_from(_TRICKY), max_size=60))
def test_folding_twice_is_folding_once(text: str) -> None:
    """The folded text is its own folded form."""
    once = fold(text).text
    assert fold(once).text == once


@given(st.text(max_size=60))
def test_no_format_character_survives(text: str) -> None:
    """Nothing invisible is left between two digits."""
    assert not any(unicodedata.category(character) == "Cf" for character in fold(text).text)


def test_text_is_hidden_from_repr() -> None:
    """A folded text is plaintext."""
    assert "13800138000" not in repr(fold("13800138000"))


def test_what_is_passed_over_folds_to_itself() -> None:
    """The characters for which a text is not even looked at more closely; those beyond the first plane are none."""
    assert all(fold(chr(point)).text == chr(point) for point in range(0x10000) if not _OTHERS.search(chr(point)))
    assert _OTHERS.search("\U0001d7d8")
    passed = "".join(chr(point) for point in range(0x10000) if not _OTHERS.search(chr(point)))
    assert passed.translate(_TABLE) == passed


def test_numbered_items_are_read_both_ways() -> None:
    """A sign that numbers the items of a list may be a digit or stand before one; each reading is as long."""
    for text in ("①138", "1️⃣138", "⑩138", "½138", "138²", "㎡138"):
        folded = fold(text)
        assert folded.apart is not None
        assert len(folded.apart) == len(folded.text)
        assert folded.apart.strip() == "138"
    assert all(fold(text).apart is None for text in ("１３８", "138😀", "１３８℃"))
