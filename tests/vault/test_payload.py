"""The packed payload of a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import BadInput, IntegrityFailed
from vault.payload import pack, unpack

codes = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
payloads = st.dictionaries(codes, st.binary(max_size=60), max_size=6)


@given(payloads)
def test_what_is_packed_comes_back_in_order(fields):
    """Packing and unpacking is the identity."""
    assert list(unpack(pack(fields))) == list(fields.items())


def test_the_bytes_are_as_documented():
    """The layout of docs/reference/ciphertext-format.md."""
    assert pack({"sex": b"\xaa\xbb"}).hex() == "01" + "0001" + "03" + b"sex".hex() + "00000002" + "aabb"


@given(payloads, st.data())
def test_a_cut_payload_is_broken(fields, data):
    """No prefix of a payload is one."""
    whole = pack(fields)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(IntegrityFailed):
        list(unpack(cut))


@given(st.binary(max_size=80))
def test_any_bytes_unpack_or_are_broken(noise):
    """Nothing but the one error comes out of bytes that nobody packed."""
    try:
        list(unpack(noise))
    except IntegrityFailed:
        return


def test_trailing_bytes_and_other_versions_are_broken():
    """A payload ends where its last field ends."""
    with pytest.raises(IntegrityFailed):
        list(unpack(pack({"a": b"1"}) + b"x"))
    with pytest.raises(IntegrityFailed):
        list(unpack(b"\x02" + pack({})[1:]))


def test_a_code_that_is_no_text_is_broken():
    """Bytes that are no UTF-8 do not become a field code."""
    with pytest.raises(IntegrityFailed):
        list(unpack(pack({"a": b"1"}).replace(b"a", b"\xff")))


def test_codes_and_counts_have_bounds():
    """What the length bytes cannot count is refused."""
    with pytest.raises(BadInput, match="255"):
        pack({"x" * 256: b""})
    with pytest.raises(BadInput, match="too many"):
        pack({str(number): b"" for number in range(65_536)})
