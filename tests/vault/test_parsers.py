"""Whatever bytes stand where the vault's own should: one error comes out, and nothing is parsed past its bounds."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import IntegrityFailed
from vault._keys import WrappingKey
from vault.custodian import KeyfileCustodian, RootKeyDamaged, RootKeyWrong
from vault.envelope import OVERHEAD_BYTES, Binding, DataKey, alone, open_value, read_key_id, seal_value
from vault.payload import pack, unpack
from vault.suites import SUITES

ALONE = Binding(alone("dep_1", "sub_1", "rec_1"), "f", 1)

suites = st.sampled_from(list(SUITES.values()))
changes = st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4)


def changed(whole: bytes, at: list[tuple[int, int]], cut: int, more: bytes) -> bytes:
    """Flip bits, cut the end and put something behind it."""
    made = bytearray(whole)
    for place, bits in at:
        made[place % len(made)] ^= bits
    return bytes(made[: len(made) - cut % 8]) + more


@given(suites, st.binary(max_size=120))
def test_any_bytes_are_no_wrapped_key(suite, noise):
    """Short, long and of the right length."""
    with pytest.raises(IntegrityFailed):
        WrappingKey("epo_1", bytes(32), suite).unwrap(noise, b"context")


@given(suites, changes, st.integers(0, 7), st.binary(max_size=3))
def test_a_changed_wrap_is_no_wrapped_key(suite, at, cut, more):
    """Flipped, cut or longer."""
    wrapping = WrappingKey("epo_1", bytes(32), suite)
    whole = wrapping.wrap(bytes(suite.key_bytes), b"context")
    made = changed(whole, at, cut, more)
    if made != whole:
        with pytest.raises(IntegrityFailed):
            wrapping.unwrap(made, b"context")


@given(st.binary(max_size=120))
def test_any_bytes_are_no_wrapped_epoch_key(noise):
    """With the version and the root's own id in front as well."""
    custodian = KeyfileCustodian(bytes(32))
    head = custodian.wrap(bytes(32), b"epoch")[:9]
    for blob in (noise, head + noise):
        with pytest.raises((IntegrityFailed, RootKeyWrong)):
            custodian.unwrap(blob, b"epoch")


@given(st.binary(max_size=200), st.sampled_from([b"", b"consentry-root-key-1 ", b"consentry-root-key-1 00 00 00"]))
def test_any_bytes_are_no_root_key_file(noise, start):
    """A damaged file is named as such."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "root.key")
        path.touch(mode=0o600)
        path.write_bytes(start + noise)
        with pytest.raises(RootKeyDamaged):
            KeyfileCustodian.load(path)


@given(suites, changes, st.integers(0, 7), st.binary(max_size=3))
def test_a_changed_value_opens_nothing(suite, at, cut, more):
    """Several changes at once, too."""
    key = DataKey(b"\x07" * 8, bytes(suite.key_bytes), suite)
    whole = seal_value(b"secret", data_key=key, binding=ALONE)
    made = changed(whole, at, cut, more)
    if made != whole:
        with pytest.raises(IntegrityFailed):
            open_value(made, data_key=key, binding=ALONE)


@given(st.binary(max_size=80))
def test_any_bytes_name_a_key_or_are_refused(noise):
    """What is long enough and begins like a value has eight bytes for an id; nothing else does."""
    try:
        assert read_key_id(noise) == noise[2:10]
    except IntegrityFailed:
        return
    assert len(noise) >= OVERHEAD_BYTES
    assert noise[0] in {1, 2}
    assert noise[1] in SUITES


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.binary(max_size=40), max_size=4), changes)
def test_a_changed_payload_gives_no_more_than_its_own_bytes(fields, at):
    """What still unpacks was cut from the payload's bytes, with no code twice."""
    whole = pack(fields)
    made = changed(whole, at, 0, b"")
    try:
        found = list(unpack(made))
    except IntegrityFailed:
        return
    assert len({code for code, _ in found}) == len(found)
    assert 3 + sum(5 + len(code.encode()) + len(value) for code, value in found) == len(made)
