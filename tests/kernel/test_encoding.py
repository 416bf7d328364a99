"""Canonical JSON: one value, one encoding."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.encoding import canonical_json, digest
from kernel.errors import BadInput

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=20,
)


def test_the_example_of_the_standard_is_encoded_as_printed():
    """RFC 8785 section 3.2.2 and 3.2.3, without its floats."""
    value = {
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = list(json.loads(canonical_json(value)))
    assert order == ["\r", "1", "literals", "string", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    expected = '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'
    assert expected.encode() in canonical_json(value)


def test_there_is_no_white_space_and_no_escaping_of_chinese():
    """Short and readable."""
    assert canonical_json({"b": (1, "诊"), "a": {}}) == '{"a":{},"b":[1,"诊"]}'.encode()


@given(value=_VALUES)
def test_any_value_survives(value):
    """What is decoded again is what was encoded."""
    assert json.loads(canonical_json(value)) == value


@given(value=st.dictionaries(_TEXT, _VALUES))
def test_the_order_of_keys_does_not_matter(value):
    """Two mappings that are equal have the same bytes."""
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize("integer", [2**53, -(2**53), 10**30])
def test_an_integer_that_other_parsers_round_is_refused(integer):
    """The neighbours within the bound are fine."""
    assert canonical_json([2**53 - 1, -(2**53) + 1])
    with pytest.raises(BadInput, match="beyond 2\\^53"):
        canonical_json(integer)


@pytest.mark.parametrize("value", [1.5, float("nan"), b"x", {1}, object()])
def test_other_types_have_no_canonical_form(value):
    """The message names the type and never the value."""
    with pytest.raises(BadInput, match=f"of type {type(value).__name__} has no canonical form"):
        canonical_json({"a": [value]})


def test_keys_are_text():
    """A number as a key would be read back as text."""
    with pytest.raises(BadInput, match="key must be a string"):
        canonical_json({1: "x"})


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["a\ud83d"]])
def test_an_unpaired_surrogate_is_refused(value):
    """It has no UTF-8, and the message does not repeat it."""
    with pytest.raises(BadInput, match="unpaired surrogate") as caught:
        canonical_json(value)
    assert caught.value.__cause__ is None


def test_a_digest_is_sha_256_of_the_encoding():
    """In hexadecimal."""
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()
