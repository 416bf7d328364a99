"""Values of indexed fields find people without being opened, and are forgotten with their fields."""

import dataclasses

import pytest
from sqlalchemy import select

from kernel.catalogue import IndexKind
from kernel.errors import BadInput
from kernel.ids import BatchId
from vault.index_rotation import rotate_index
from vault.subjects import SubjectResolver, forget_unheld
from vault.tables import blind_index


@pytest.fixture
def resolver(any_house) -> SubjectResolver:
    """Over a catalogue in which mobiles and devices are searched by their value, names by a truncated index."""
    kinds = {"mobile": IndexKind.UNIQUE, "device_id": IndexKind.UNIQUE, "name": IndexKind.LOW}
    fields = any_house.catalogue.fields
    indexed = {
        code: dataclasses.replace(field, index=kinds.get(code, IndexKind.NONE)) for code, field in fields.items()
    }
    return SubjectResolver(any_house.keystore, indexed)


def test_people_are_found_by_the_whole_value(any_house, resolver):
    """However it is written; two people may share it; a part of it finds nobody."""
    first, second, third = (any_house.subject() for _ in range(3))
    values = [(first, "mobile", "13912345678"), (second, "mobile", "+86 139 1234 5678"), (third, "device_id", "ab-1")]
    resolver.link_fields(values, batch=None)
    assert resolver.find_by_field("mobile", "139 1234 5678", limit=9) == sorted([first, second])
    assert resolver.find_by_field("mobile", "13912345678", limit=1) == sorted([first, second])[:1]
    assert resolver.find_by_field("device_id", " AB-1", limit=9) == [third]
    assert resolver.find_by_field("device_id", "ab", limit=9) == []


def test_a_truncated_index_gives_candidates(any_house, resolver):
    """Its digest is one byte, so that it tells the bucket only; everybody with the value is among the candidates."""
    people = [any_house.subject() for _ in range(600)]
    resolver.link_fields([(subject, "name", f"name {number}") for number, subject in enumerate(people)], batch=None)
    with any_house.keys.read() as connection:
        digests = connection.scalars(select(blind_index.c.digest)).all()
    assert {len(digest) for digest in digests} == {1}
    found = resolver.find_by_field("name", "name 7", limit=600)
    assert people[7] in found
    assert len(found) < 60


def test_a_field_without_an_index_is_refused(resolver):
    """The message names the field and never the value."""
    for code in ("diagnosis", "shoe_size"):
        with pytest.raises(BadInput) as refused:
            resolver.find_by_field(code, "icd10:I10", limit=9)
        assert "I10" not in refused.value.diagnostics()


def test_an_index_of_a_field_rotates_like_the_others(any_house, resolver):
    """Values lie sealed under the key of their own compartment."""
    subject = any_house.subject()
    resolver.link_fields([(subject, "device_id", "ab-1"), (subject, "name", "张三")], batch=None)
    for index in ("device_id", "low:name"):
        rotate_index(any_house.keystore, any_house.data, any_house.log, index, asking=any_house.asking)
    assert resolver.find_by_field("device_id", "ab-1", limit=9) == [subject]
    assert subject in resolver.find_by_field("name", "张三", limit=9)


def test_a_discarded_batch_and_an_erased_field_leave_no_index(any_house, resolver):
    """What only the batch said goes; of a person whose data is partly held, the indexes of held fields stay."""
    subject = any_house.subject()
    resolver.link_fields([(subject, "device_id", "ab-1")], batch=BatchId("bat_1"))
    resolver.unlink_batch(BatchId("bat_1"))
    assert resolver.find_by_field("device_id", "ab-1", limit=9) == []
    resolver.link_fields(
        [(subject, "device_id", "ab-1"), (subject, "name", "张三"), (subject, "mobile", "139")], batch=None
    )
    with any_house.keys.write() as connection:
        forget_unheld(connection, subject, {"name", "mobile"})
    with any_house.keys.read() as connection:
        assert set(connection.scalars(select(blind_index.c.field))) == {"low:name"}
