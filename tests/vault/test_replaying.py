"""Tombstones are replayed: whichever store is the older copy, what was erased goes again."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import delete, insert, select, update

from audit.tables import leaf
from consent.standing import Standing
from consent.tables import subject_standing
from kernel.catalogue import IndexKind
from tests.vault.conftest import DEPLOYMENT, YEAR
from vault.data_rotation import DataKeys, rotate_data_keys
from vault.identity import IdentityKeys
from vault.replaying import Buried, Replayer, destroy_named, named_keys
from vault.retention import Sweeper
from vault.scopes import Scope, ScopeKind
from vault.subjects import SubjectResolver
from vault.tables import (
    SEALED_TABLES,
    blind_index,
    data_key,
    data_metadata,
    erasure,
    identity_fact,
    key_tombstone,
    keystore_metadata,
    pseudonym,
    sealed_record,
    tombstone,
)


def replayer(house) -> Replayer:
    return Replayer(house.data, house.keystore, house.log, house.eraser, house.clock)


def fill(house, number: int = 1):
    """Somebody with a name, a chat, links and a pseudonym."""
    subject = house.subject()
    house.store(house.record(subject, number=number, name="张三", consult_chat="头疼"))
    keys = IdentityKeys("his", f"p-{number}", id_number=f"id-{number}", sex="female", mobile=f"1380000000{number}")
    house.resolver.link([(subject, keys)], batch=None)
    house.pseudonyms.pseudonyms([subject], scope="view:profile")
    return subject


@contextmanager
def put_back(database, *tables):
    """Take a copy of tables now, and put it in their place afterwards, as a restored copy of the store would."""
    with database.read() as connection:
        rows = {table: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables}
    yield
    with database.write() as connection:
        for table in reversed(tables):
            connection.execute(delete(table))
        for table in tables:
            if rows[table]:
                connection.execute(insert(table), rows[table])


def ids(database, column, *where) -> set:
    with database.read() as connection:
        return set(connection.scalars(select(column).where(*where)))


def older_keys(house):
    return put_back(house.keys, *keystore_metadata.sorted_tables)


def older_data(house):
    """The vault's part of an older data store; the register's standing is put back by hand."""
    return put_back(house.data, *data_metadata.sorted_tables)


def revive(house, subject) -> None:
    with house.data.write() as connection:
        mine = subject_standing.c.subject_id == subject
        connection.execute(subject_standing.update().where(mine).values(state=Standing.ACTIVE))


def test_an_older_key_store_loses_the_keys_again(any_house):
    """Keys, links, facts and pseudonyms of the erased go from a key store that was put back; others stay."""
    house = any_house
    subject, other = fill(house, 1), fill(house, 2)
    with older_keys(house):
        house.erase(subject)
    back = ids(house.keys, data_key.c.key_id, data_key.c.subject_id == subject)
    assert replayer(house).is_due()
    done = replayer(house).replay(asking=house.asking)
    assert done.keys == done.tombstones == len(back) > 0
    for table in (data_key, blind_index, identity_fact, pseudonym):
        assert not ids(house.keys, table.c.subject_id, table.c.subject_id == subject)
        assert ids(house.keys, table.c.subject_id, table.c.subject_id == other)
    assert ids(house.keys, key_tombstone.c.key_id) == ids(house.data, tombstone.c.key_id)
    assert not replayer(house).is_due()
    assert len(house.entries("tombstones.replayed")) == 1


def test_an_older_data_store_is_erased_again(any_house):
    """Whom it brought back is erased as a whole once more, with a certificate that says why."""
    house = any_house
    subject, other = fill(house, 1), fill(house, 2)
    with older_data(house):
        house.erase(subject)
    revive(house, subject)
    assert house.open(subject, "P02", "name") == []
    done = replayer(house).replay(asking=house.asking)
    assert done.subjects == [subject]
    assert house.standing(subject) is Standing.ERASED
    assert not ids(house.data, sealed_record.c.row_no, sealed_record.c.subject_id == subject)
    assert ids(house.data, erasure.c.why) == {"restored"}
    assert ids(house.keys, key_tombstone.c.key_id) == ids(house.data, tombstone.c.key_id)
    assert len(house.open(other, "P02", "name")) == 1
    assert replayer(house).replay(asking=house.asking).as_counts() == dict.fromkeys(done.as_counts(), 0)


def test_an_older_data_store_loses_the_part_that_was_erased(any_house):
    """Rows under keys that went with a part are deleted; the subject stays."""
    house = any_house
    subject = fill(house)
    with older_data(house):
        scope = Scope(ScopeKind.COMPARTMENT, ("clinical",))
        house.eraser.fields.erase_scope(subject, scope, asking=house.asking, reason="asked")
    done = replayer(house).replay(asking=house.asking)
    assert (done.rows, done.subjects) == (1, [])
    (opened,) = house.open(subject, "P02", "name", "consult_chat")
    assert opened.values == {"name": "张三"}
    assert house.standing(subject) is Standing.ACTIVE


def test_what_the_law_holds_of_a_part_stays(house):
    """A held row under a key that went with the part is not deleted: a newer copy of it may turn up."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10", consult_chat="头疼"))
    with older_data(house):
        scope = Scope(ScopeKind.COMPARTMENT, ("clinical",))
        house.eraser.fields.erase_scope(subject, scope, asking=house.asking, reason="asked")
        assert [one.values for one in house.open(subject, "P02", "diagnosis")] == [{"diagnosis": "icd10:I10"}]
    done = replayer(house).replay(asking=house.asking)
    assert (done.rows, done.subjects) == (1, [])
    with house.data.read() as connection:
        (left,) = connection.execute(select(sealed_record)).all()
    assert left.held_until is not None


def test_facts_and_numbers_of_a_part_go_again(house):
    """A fact whose field was erased goes from an older key store, and the mobile's index as well."""
    subject = house.subject()
    house.store(house.record(subject, mobile="13800000001", diagnosis="icd10:I10"))
    house.resolver.link([(subject, IdentityKeys("his", "p-1", mobile="13800000001"))], batch=None)
    with older_keys(house):
        scope = Scope(ScopeKind.FIELDS, ("mobile",))
        house.eraser.fields.erase_scope(subject, scope, asking=house.asking, reason="asked")
    replayer(house).replay(asking=house.asking)
    assert ids(house.keys, blind_index.c.field) == {"source_subject"}


SEARCHED = {"name": IndexKind.LOW, "consult_chat": IndexKind.UNIQUE, "diagnosis": IndexKind.UNIQUE}


def searched(house, **values):
    """Somebody with a record whose values are searched, of fields that the pack has an index for."""
    fields = {code: replace(house.catalogue.fields[code], index=kind) for code, kind in SEARCHED.items()}
    subject = house.subject()
    house.store(house.record(subject, **values))
    SubjectResolver(house.keystore, fields).link_fields(
        [(subject, code, value) for code, value in values.items()], batch=None
    )
    return subject


def indexes(house, subject) -> set[str]:
    return ids(house.keys, blind_index.c.field, blind_index.c.subject_id == subject)


def test_a_search_finds_nobody_by_a_part_that_was_erased(any_house):
    """What an older key store finds people by goes again, of every indexed field and of no other."""
    house = any_house
    subject = searched(house, name="张三", consult_chat="头疼")
    with older_keys(house):
        scope = Scope(ScopeKind.FIELDS, ("consult_chat",))
        house.eraser.fields.erase_scope(subject, scope, asking=house.asking, reason="asked")
    assert indexes(house, subject) == {"low:name", "consult_chat"}
    replayer(house).replay(asking=house.asking)
    assert indexes(house, subject) == {"low:name"}


def test_a_search_finds_whom_the_law_holds_by_what_it_holds_only(house):
    """The indexes of what was not held go again from an older key store."""
    subject = searched(house, name="张三", consult_chat="头疼", diagnosis="icd10:I10")
    with older_keys(house):
        house.erase(subject)
    replayer(house).replay(asking=house.asking)
    assert indexes(house, subject) == {"diagnosis"}


def test_a_search_finds_nobody_by_what_has_expired(house):
    """After a sweep an older key store does not bring the index back; what resolves the person stays."""
    subject = searched(house, name="张三", consult_chat="头疼")
    house.store(house.record(subject, number=2, mobile="13800000001"))
    keys = IdentityKeys("his", "p-1", id_number="id-1", sex="female", mobile="13800000001")
    house.resolver.link([(subject, keys)], batch=None)
    house.clock.advance(4 * YEAR)
    with older_keys(house):
        Sweeper(house.data, house.keystore, house.log, house.signer, house.clock, deployment=DEPLOYMENT).sweep(
            asking=house.asking
        )
        swept = indexes(house, subject)
    replayer(house).replay(asking=house.asking)
    assert indexes(house, subject) == swept == {"low:name", "mobile", "id_number", "source_subject"}
    assert ids(house.keys, identity_fact.c.fact, identity_fact.c.subject_id == subject) == {"sex"}


def test_a_search_finds_nobody_by_values_whose_keys_only_the_log_names(house):
    """The rows that go tell what found the person."""
    subject = searched(house, name="张三", consult_chat="头疼")
    house.resolver.link([(subject, IdentityKeys("his", "p-1"))], batch=None)
    clinical = ids(house.keys, data_key.c.key_id, data_key.c.compartment == "clinical")
    destroy_named(house.keys, dict.fromkeys(clinical, Buried("", whole=False)), house.clock)
    replayer(house).replay(asking=house.asking)
    assert indexes(house, subject) == {"low:name", "source_subject"}


def test_a_broken_row_stops_no_replay(house):
    """Nobody can open it any more, and it goes with the others."""
    subject = searched(house, consult_chat="头疼")
    key_ids = ids(house.keys, data_key.c.key_id)
    destroy_named(house.keys, dict.fromkeys(key_ids, Buried("", whole=False)), house.clock)
    with house.data.write() as connection:
        connection.execute(update(sealed_record).values(payload=b"x"))
    assert replayer(house).replay(asking=house.asking).rows == 1
    assert house.standing(subject) is Standing.ACTIVE


def test_data_that_a_rotation_left_behind_still_has_its_person(house):
    """Its rows are missing and were not erased: an ID number finds the same person when they are sent again."""
    subject = searched(house, consult_chat="头疼")
    house.store(house.record(subject, number=2, id_number="id-1"))
    house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number="id-1"))], batch=None)
    with older_data(house):
        rotate_data_keys(house.keystore, house.data, house.log, DataKeys(), deployment=DEPLOYMENT, asking=house.asking)
    assert replayer(house).replay(asking=house.asking).rows == 2
    assert indexes(house, subject) == {"id_number", "source_subject"}


def test_the_log_alone_is_enough(any_house):
    """Where both stores lost their tombstones, the entries name the keys."""
    house = any_house
    subject = fill(house)
    tables = [table for table in data_metadata.sorted_tables if table not in SEALED_TABLES]
    with older_keys(house), put_back(house.data, *tables, *SEALED_TABLES):
        house.erase(subject)
    revive(house, subject)
    assert not replayer(house).is_due()
    back = ids(house.keys, data_key.c.key_id, data_key.c.subject_id == subject)
    done = replayer(house).replay(asking=house.asking)
    assert done.keys == len(back) > 0
    assert house.standing(subject) is Standing.ERASED
    assert not ids(house.keys, data_key.c.key_id, data_key.c.subject_id == subject)


@pytest.mark.parametrize("whole", [False, True])
def test_keys_that_a_newer_log_names_are_destroyed_at_once(house, whole):
    """The next replay erases whom they belonged to, or deletes the part that they sealed."""
    subject = fill(house)
    key_ids = ids(house.keys, data_key.c.key_id)
    destroy_named(house.keys, dict.fromkeys(key_ids, Buried("era_x", whole)), house.clock)
    assert house.open(subject, "P02", "name") == []
    assert replayer(house).is_due()
    done = replayer(house).replay(asking=house.asking)
    assert (done.rows, done.subjects) == ((0, [subject]) if whole else (2, []))
    assert ids(house.data, tombstone.c.key_id) == ids(house.keys, key_tombstone.c.key_id) == key_ids
    assert house.standing(subject) is (Standing.ERASED if whole else Standing.ACTIVE)


def test_what_the_law_holds_is_restricted_again(house):
    """A held row that nobody can open beside this key store is kept for a newer copy of it."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10", consult_chat="头疼"))
    with older_data(house):
        house.erase(subject)
    revive(house, subject)
    replayer(house).replay(asking=house.asking)
    assert house.standing(subject) is Standing.RESTRICTED
    assert len(ids(house.data, sealed_record.c.row_no)) == 1


def test_a_restricted_subject_loses_its_mobile_and_pseudonyms_again(house):
    """An older key store finds the person by nothing that the erasure took."""
    subject = fill(house)
    house.store(house.record(subject, number=7, diagnosis="icd10:I10"))
    with older_keys(house):
        house.erase(subject)
    replayer(house).replay(asking=house.asking)
    assert "mobile" not in ids(house.keys, blind_index.c.field, blind_index.c.subject_id == subject)
    assert not ids(house.keys, pseudonym.c.pseudonym)


def test_nothing_to_replay_writes_nothing(house):
    """A deployment without erasures has no entry of it."""
    fill(house)
    assert not replayer(house).is_due()
    assert replayer(house).replay(asking=house.asking).keys == 0
    assert house.entries("tombstones.replayed") == []


@pytest.mark.parametrize("act", ["erasure.started", "keys.destroyed"])
def test_only_entries_that_name_keys_are_read(house, act):
    """Others name none, whatever their references."""
    house.erase(fill(house))
    house.log.settle()
    (body,) = ids(house.data, leaf.c.body, leaf.c.act == act)
    assert set(named_keys(body)) == (ids(house.keys, key_tombstone.c.key_id) if act == "keys.destroyed" else set())
