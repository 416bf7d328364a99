"""What an attacker with SQL alone can do to stored bytes and keys, region by region, in both suites: nothing opens."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select, update

from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault._keyring import keyring_of
from vault.identity import IdentityKeys
from vault.payload import pack, unpack
from vault.records import Vault
from vault.suites import AES, SM
from vault.tables import data_key, epoch, named_key, sealed_record

SECRET = "icd10:B20.9"

_CODE = "diagnosis"
_VALUE = 4 + len(_CODE) + 4
"""Where the first sealed value of a payload begins."""

REGIONS: Mapping[str, slice] = {
    "payload version": slice(0, 1),
    "number of fields": slice(1, 3),
    "length of the code": slice(3, 4),
    "length of the value": slice(4 + len(_CODE), _VALUE),
    "version": slice(_VALUE, _VALUE + 1),
    "suite": slice(_VALUE + 1, _VALUE + 2),
    "key id": slice(_VALUE + 2, _VALUE + 10),
    "nonce": slice(_VALUE + 10, _VALUE + 22),
    "ciphertext": slice(_VALUE + 22, -16),
    "tag": slice(-16, None),
}


@pytest.fixture
def stored(suited_house) -> SubjectId:
    """A person with one value."""
    subject = suited_house.subject()
    suited_house.store(suited_house.record(subject, diagnosis=SECRET))
    return subject


def payload_of(house) -> bytes:
    with house.data.read() as connection:
        return connection.scalar(select(sealed_record.c.payload))


def put(house, payload: bytes) -> None:
    with house.data.write() as connection:
        connection.execute(update(sealed_record).values(payload=payload))


def check_closed(house, subject: SubjectId, *fields: str) -> None:
    """Nothing is opened, and the error tells nothing."""
    with pytest.raises(IntegrityFailed) as refused:
        house.open(subject, "P02", *fields or (_CODE,))
    assert SECRET not in refused.value.diagnostics()
    assert refused.value.__cause__ is None


def flipped(payload: bytes, region: slice, bit: int) -> bytes:
    """Return the payload with one bit of the region's last byte changed."""
    start, end, _ = region.indices(len(payload))
    assert start < end
    changed = bytearray(payload)
    changed[end - 1] ^= bit
    return bytes(changed)


def test_the_regions_are_the_whole_payload(suited_house, stored):
    """Every byte but the field's code, which is renamed in a test of its own, lies in a region above."""
    payload = payload_of(suited_house)
    covered = [place for region in REGIONS.values() for place in range(*region.indices(len(payload)))]
    assert sorted([*covered, *range(4, 4 + len(_CODE))]) == list(range(len(payload)))
    assert len(suited_house.open(stored, "P02", _CODE)) == 1


def test_a_changed_byte_opens_nothing(suited_house, stored, subtests):
    """Each region of the payload and of the sealed value in it."""
    payload = payload_of(suited_house)
    for name, region in REGIONS.items():
        for bit in (0x01, 0x80):
            with subtests.test(name, bit=bit):
                put(suited_house, flipped(payload, region, bit))
                check_closed(suited_house, stored)


def test_the_byte_of_the_other_suite_opens_nothing(suited_house, stored):
    """A suite that is known, but not the key's."""
    payload, place = bytearray(payload_of(suited_house)), REGIONS["suite"].start
    payload[place] = AES.code if payload[place] == SM.code else SM.code
    put(suited_house, bytes(payload))
    check_closed(suited_house, stored)


def test_a_cut_row_opens_nothing(suited_house, stored, subtests):
    """At the end of every region, one byte before the payload's own, and one behind it."""
    payload = payload_of(suited_house)
    ends = {region.indices(len(payload))[1] for region in REGIONS.values()} - {len(payload)}
    for changed in (payload + b"\x00", *(payload[:end] for end in {0, len(payload) - 1, *ends})):
        with subtests.test(size=len(changed)):
            put(suited_house, changed)
            check_closed(suited_house, stored)


def test_values_that_trade_fields_or_come_twice_open_nothing(suited_house):
    """The field's code is bound to its value, and a payload names it once."""
    subject = suited_house.subject()
    suited_house.store(suited_house.record(subject, event_type="one", page="two"))
    sealed = dict(unpack(payload_of(suited_house)))
    put(suited_house, pack({"event_type": sealed["page"], "page": sealed["event_type"]}))
    with pytest.raises(IntegrityFailed, match="does not verify"):
        suited_house.open(subject, "P08", "page")
    whole = pack({"page": sealed["page"]})
    put(suited_house, whole[:1] + b"\x00\x02" + whole[3:] * 2)
    with pytest.raises(IntegrityFailed, match="broken payload"):
        suited_house.open(subject, "P08", "page")


def test_payloads_that_trade_rows_or_people_open_nothing(suited_house, stored):
    """A payload is bound to its row, also where row and payload are of one person under one key."""
    other = suited_house.subject()
    suited_house.store(suited_house.record(stored, number=2, diagnosis="x"), suited_house.record(other, diagnosis="y"))
    with suited_house.data.write() as connection:
        rows = connection.execute(select(sealed_record).order_by(sealed_record.c.row_no)).all()
        assert [row.subject_id for row in rows].count(stored) == 2
        for row, payload in zip(rows, [*(row.payload for row in rows[1:]), rows[0].payload], strict=True):
            change = update(sealed_record).where(sealed_record.c.row_no == row.row_no)
            connection.execute(change.values(payload=payload))
    check_closed(suited_house, stored)
    check_closed(suited_house, other)


def test_a_row_opens_in_no_other_deployment(suited_house, stored):
    """The same stores and keys under another name."""
    renamed = Vault(
        suited_house.data,
        suited_house.keystore,
        suited_house.catalogue,
        log=suited_house.log,
        clock=suited_house.clock,
        deployment="dep_other",
    )
    permit = suited_house.permit(stored, "P02", _CODE)
    with pytest.raises(IntegrityFailed, match="does not verify"):
        renamed.open(permit, suited_house.receipt(permit), subject=stored, fields=[_CODE])


def test_a_row_opens_under_no_other_schema_version(suited_house, stored):
    """What the plaintext's encoding is, is bound too."""
    with suited_house.data.write() as connection:
        connection.execute(update(sealed_record).values(schema_version=2))
    check_closed(suited_house, stored)


def change_key(house, subject: SubjectId, **columns: object) -> None:
    with house.keys.write() as connection:
        connection.execute(update(data_key).where(data_key.c.subject_id == subject).values(columns))


def test_keys_that_trade_places_open_nothing(suited_house, stored):
    """Wrapped bytes are bound to their key's id, subject and compartment."""
    other = suited_house.subject()
    suited_house.store(suited_house.record(other, diagnosis="y"))
    with suited_house.keys.read() as connection:
        wrapped = dict(connection.execute(select(data_key.c.subject_id, data_key.c.wrapped)).all())
    change_key(suited_house, stored, wrapped=wrapped[other])
    check_closed(suited_house, stored)
    change_key(suited_house, stored, wrapped=wrapped[stored], compartment="identity")
    check_closed(suited_house, stored)
    change_key(suited_house, stored, compartment="clinical", subject_id=other, generation=2)
    check_closed(suited_house, other)


def test_a_cut_key_opens_nothing(suited_house, stored, subtests):
    """The length of a wrapped key is checked before it is unwrapped."""
    with suited_house.keys.read() as connection:
        wrapped = connection.scalar(select(data_key.c.wrapped))
    for changed in (b"", wrapped[:12], wrapped[:28], wrapped[:-1], wrapped + b"x", wrapped * 9):
        with subtests.test(size=len(changed)):
            change_key(suited_house, stored, wrapped=changed)
            check_closed(suited_house, stored)


@pytest.mark.parametrize("table", [data_key, epoch], ids=lambda table: table.name)
def test_a_key_whose_suite_was_changed_is_no_key(suited_house, stored, table, subtests):
    """The suite is bound into the wrap: the other one fails, and one that is unknown is not tried."""
    real = keyring_of(suited_house.keystore).suite.code
    for suite in (3 - real, 0, 9):
        with subtests.test(suite=suite):
            with suited_house.keys.write() as connection:
                connection.execute(update(table).values(suite=suite))
            check_closed(suited_house, stored)


def test_an_index_key_whose_suite_was_changed_finds_nobody(suited_house):
    """Digests of another suite would find nobody and say so; the key is refused instead."""
    stated = IdentityKeys("his", "p-1", id_number="110101199003074514")
    suited_house.resolver.link([(suited_house.subject(), stated)], batch=None)
    with suited_house.keys.write() as connection:
        connection.execute(update(named_key).values(suite=3 - keyring_of(suited_house.keystore).suite.code))
    with pytest.raises(IntegrityFailed):
        suited_house.resolver.find("his", "p-1")
