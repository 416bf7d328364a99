"""Rows opened whole: all that they say or nothing, whatever their bytes are."""

import os

import pytest

from kernel.catalogue import Compartment
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault._keys import UnlockedKeys
from vault._versions import MARK
from vault._whole_rows import open_whole, seal_whole
from vault.envelope import DataKey, RowHeader, row_prefix
from vault.payload import pack, unpack
from vault.suites import SUITES

HEADER = RowHeader("encounter", "his", "clinical", "P02", "sub_1", "rec_1", "A" * 22, 1, 2, None)
VALUES = {"diagnosis": b'"one"', "name": b'""', "page": b'"three"'}


@pytest.fixture(params=SUITES.values(), ids=lambda suite: suite.name)
def keys(request) -> UnlockedKeys:
    """One subject's key."""
    held = UnlockedKeys()
    key = DataKey(b"k" * 8, os.urandom(request.param.key_bytes), request.param)
    held.add((SubjectId("sub_1"), Compartment.CLINICAL), key)
    return held


def sealed(keys, values):
    """The payload of a row with these values."""
    return seal_whole(values, data_key=keys.opening(b"k" * 8), prefix=row_prefix("dep", HEADER), schema_version=1)


def opened(keys, payload, *fields, header=HEADER):
    """The values of one row with this payload, None where it has to be looked at value by value."""
    found = open_whole([(1, *header, 1, b"k" * 8, payload)], frozenset(fields), keys, "dep")
    return None if found is None else [values for _, values in found]


def test_wanted_values_come_back(keys):
    """And no others; a row without any is left out."""
    payload = sealed(keys, VALUES)
    assert opened(keys, payload, *VALUES) == [VALUES]
    assert opened(keys, payload, "name", "absent") == [{"name": b'""'}]
    assert opened(keys, payload, "absent") == []


def test_a_changed_byte_or_length_opens_no_changed_value(keys):
    """A code that becomes another is a field that nobody asked for; anything else opens nothing, without an error."""
    payload = sealed(keys, VALUES)
    codes = {payload.index(code.encode()) + at for code in VALUES for at in range(len(code))}
    for at in range(len(payload)):
        changed = payload[:at] + bytes((payload[at] ^ 1,)) + payload[at + 1 :]
        found = opened(keys, changed, *VALUES)
        if at in codes:
            assert found is not None
            assert len(found[0]) == len(VALUES) - 1
            assert found[0].items() <= VALUES.items()
        else:
            assert found is None
        assert opened(keys, payload[:at], *VALUES) is None
    assert opened(keys, payload + b"\x00", *VALUES) is None


def test_a_row_that_says_something_else_of_itself_opens_nothing(keys):
    """Each of its columns is bound to each value; an instant that is none is left to whoever names it."""
    payload = sealed(keys, VALUES)
    for name in HEADER._fields:
        other = HEADER._replace(**{name: 7 if name.endswith(("_at", "_until")) else "other"})
        assert opened(keys, payload, *VALUES, header=other) is None
    assert opened(keys, payload, *VALUES, header=HEADER._replace(observed_at="x")) is None


def test_corrections_and_repeated_fields_are_not_opened_whole(keys):
    """One of several values has to be chosen."""
    assert opened(keys, sealed(keys, {"name": b'"a"', MARK: b"{}"}), "name") is None
    rows = [(number, *HEADER, 1, b"k" * 8, sealed(keys, VALUES)) for number in (1, 2)]
    assert open_whole(rows, frozenset({"name"}), keys, "dep") is None
    twice = pack({"name": b"1" * 40}) + pack({"name": b"1" * 40})[3:]
    assert opened(keys, b"\x01\x00\x02" + twice[3:], "page") is None


@pytest.mark.parametrize("wanted", ["name", "page"])
def test_a_field_told_twice_is_not_opened_whatever_number_the_row_states(keys, wanted):
    """Neither one that is asked for nor one that is not: reading value by value refuses both."""
    payload = sealed(keys, {"name": b'"a"'})
    twice = payload + payload[3:]
    assert opened(keys, twice, wanted) is None
    assert opened(keys, b"\x01\x00\x02" + twice[3:], wanted) is None
    with pytest.raises(IntegrityFailed):
        list(unpack(twice))
