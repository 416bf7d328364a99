"""Moving records between subjects: a merge and a split, whole, interrupted, refused; what finds whom afterwards."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from audit.events import Act
from consent.standing import Standing, register_subjects, set_standing
from kernel.catalogue import IndexKind
from kernel.errors import Conflict, Denied, IntegrityFailed, NotFound
from kernel.ids import BatchId, RecordId, SubjectId, new_id
from tests.vault.conftest import ASKING, DEPLOYMENT, House, with_indexes
from tests.vault.test_bulk import sealed, stored
from vault.identity import IdentityKeys
from vault.moving import MoveOutcome, Selection, SubjectMover
from vault.records import KeysMoved, PlainRecord
from vault.subjects import ResolutionKind, SubjectResolver
from vault.tables import blind_index, data_key, identity_fact, key_tombstone, legal_hold, sealed_record, tombstone


def mover_of(house: House, **options: Any) -> SubjectMover:
    return SubjectMover(house.data, house.keystore, house.log, house.clock, deployment=DEPLOYMENT, **options)


def begin_merge(house: House, kept: SubjectId, dropped: SubjectId) -> str:
    with house.data.write() as connection:
        house.registry.merge(connection, kept=kept, dropped=dropped, asking=ASKING)
        return mover_of(house).begin_merge(connection, kept=kept, dropped=dropped, asking=ASKING)


def merge(house: House, kept: SubjectId, dropped: SubjectId) -> MoveOutcome:
    return mover_of(house).finish(begin_merge(house, kept, dropped))


def begin_split(house: House, origin: SubjectId, selection: Selection) -> tuple[SubjectId, str]:
    fresh = house.subject()
    with house.data.write() as connection:
        return fresh, mover_of(house).begin_split(
            connection, origin=origin, fresh=fresh, selection=selection, asking=ASKING
        )


def split(house: House, origin: SubjectId, **selected: Any) -> SubjectId:
    fresh, change = begin_split(house, origin, Selection(**selected))
    mover_of(house).finish(change)
    return fresh


def arrive(house: House, source: str, source_id: str, **stated: Any) -> SubjectId:
    """Let a source send a profile with what identifies the person, as an ingestion does it."""
    birth = stated.get("birth_date")
    keys = IdentityKeys(source, source_id, stated.get("id_number"), birth and date.fromisoformat(birth), None,
                        stated.get("mobile"))  # fmt: skip
    subject = house.resolver.find(source, source_id) or house.subject()
    house.resolver.link([(subject, keys)], batch=None)
    values = {code: value for code, value in stated.items() if code in house.catalogue.fields}
    house.store(PlainRecord(subject, "profile", source, f"{source_id}-1", house.clock.now(), values))
    return subject


def values(house: House, subject: SubjectId, *fields: str, purpose: str = "P02") -> list[dict[str, Any]]:
    return [dict(record.values) for record in house.open(subject, purpose, *fields)]


def rows(house: House, subject: SubjectId) -> Sequence[Any]:
    with house.data.read() as connection:
        query = select(sealed_record).where(sealed_record.c.subject_id == subject)
        return connection.execute(query.order_by(sealed_record.c.row_no)).all()


def keys_of(house: House, subject: SubjectId) -> set[bytes]:
    with house.keys.read() as connection:
        return set(connection.execute(select(data_key.c.key_id).where(data_key.c.subject_id == subject)).scalars())


def count(house: House, table: Any, subject: SubjectId) -> int:
    store = house.keys if table in (blind_index, identity_fact, data_key) else house.data
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(table.c.subject_id == subject))


# --- merge


def test_merged_records_open_under_the_kept_subject_and_under_no_former_key(any_house):
    """Everything of the dropped one is sealed anew; its keys go, with tombstones in both stores and the log."""
    kept = arrive(any_house, "his", "p-1", name="王芳", diagnosis="icd10:I10")
    dropped = arrive(any_house, "app", "u-1", name="王方", diagnosis="icd10:J45", mobile="13800138000")
    former = keys_of(any_house, dropped)
    done = merge(any_house, kept, dropped)
    assert {"icd10:I10", "icd10:J45"} == {one["diagnosis"] for one in values(any_house, kept, "diagnosis")}
    assert (rows(any_house, dropped), keys_of(any_house, dropped)) == ([], set())
    assert done.counts == {"rows": 3, "values": 3, "doubled": 0, "keys": len(former)}
    with any_house.keys.read() as connection:
        assert former <= set(connection.execute(select(key_tombstone.c.key_id)).scalars())
    with any_house.data.read() as connection:
        assert former == set(connection.execute(select(tombstone.c.key_id)).scalars())
    (destroyed,) = any_house.entries(Act.KEYS_DESTROYED)
    assert former == {bytes.fromhex(key) for name, key in destroyed["refs"].items() if name.startswith("key_")}
    (moved,) = any_house.entries(Act.RECORDS_MOVED)
    assert moved["counts"]["rows"] == 3
    assert any_house.standing(dropped) is Standing.RESTRICTED


def test_sources_of_a_merged_subject_lead_to_the_kept_one(any_house):
    """Source ids, ID number and mobile move; whoever is sent next is the one person."""
    kept = arrive(any_house, "his", "p-1", name="王芳", birth_date="1980-05-20")
    dropped = arrive(any_house, "app", "u-1", id_number="110101198005203742", mobile="13800138000")
    merge(any_house, kept, dropped)
    assert any_house.resolver.find("app", "u-1") == kept
    assert any_house.resolver.find_by_id_number("110101198005203742") == kept
    assert count(any_house, blind_index, dropped) == count(any_house, identity_fact, dropped) == 0
    (found,) = any_house.resolver.resolve_many([IdentityKeys("app", "u-1", birth_date=date(1980, 5, 20))])
    assert found.subject == kept
    (doubted,) = any_house.resolver.resolve_many([IdentityKeys("app", "u-1", birth_date=date(1999, 1, 1))])
    assert doubted.kind is ResolutionKind.DOUBTFUL, "the kept one's birth date still tells others apart"


def test_link_that_both_have_is_kept_once(house):
    """Two accounts of one person share its mobile."""
    kept = arrive(house, "his", "p-1", name="王芳", mobile="13800138000")
    dropped = arrive(house, "app", "u-1", name="王芳", mobile="13800138000")
    merge(house, kept, dropped)
    with house.keys.read() as connection:
        fields = sorted(connection.execute(select(blind_index.c.field)).scalars())
    assert fields == ["mobile", "source_subject", "source_subject"]


def test_record_that_is_sent_again_after_a_merge_is_a_version_and_no_double(any_house):
    """The digest of a record that moved is still found: the same content is skipped, a newer one replaces it."""
    kept = arrive(any_house, "his", "p-1", name="王芳")
    dropped = arrive(any_house, "app", "u-1", diagnosis="icd10:J45")
    observed = any_house.clock.now()
    merge(any_house, kept, dropped)
    again = PlainRecord(kept, "profile", "app", "u-1-1", observed, {"diagnosis": "icd10:J45"})
    assert any_house.store(again).duplicates == 1
    any_house.clock.advance(timedelta(hours=1))
    any_house.store(PlainRecord(kept, "profile", "app", "u-1-1", any_house.clock.now(), {"diagnosis": "icd10:J46"}))
    assert values(any_house, kept, "diagnosis") == [{"diagnosis": "icd10:J46"}]


def test_record_of_one_merged_twice_is_still_found(house):
    """Former subjects are followed over any number of moves."""
    first, second, third = (arrive(house, "app", f"u-{n}", diagnosis=f"icd10:I1{n}") for n in range(3))
    observed = house.clock.now()
    merge(house, second, first)
    merge(house, third, second)
    again = PlainRecord(third, "profile", "app", "u-0-1", observed, {"diagnosis": "icd10:I10"})
    assert house.store(again).duplicates == 1
    assert len(values(house, third, "diagnosis")) == 3


def test_correction_moves_with_its_record(house):
    """Value, mark and reason are sealed anew, and the correction still stands."""
    from tests.vault.test_corrections import correct, history

    kept = arrive(house, "his", "p-1", name="王芳")
    dropped = arrive(house, "app", "u-1", diagnosis="icd10:J45")
    correct(house, dropped, rows(house, dropped)[0].record_id, diagnosis="icd10:I10")
    merge(house, kept, dropped)
    assert values(house, kept, "diagnosis") == [{"diagnosis": "icd10:I10"}]
    assert [one.stands for one in history(house, kept, "diagnosis")] == [False, True]


def test_merged_subject_takes_no_more_data_not_even_what_a_restriction_allows(house):
    """A chunk that was resolved before the merge is refused as a whole."""
    kept, dropped = house.subject(), house.subject()
    batch = house.open_batch()
    record = house.record(dropped, device_id="d-1")
    house.make_keys(record, batch=batch)
    merge(house, kept, dropped)
    with house.data.write() as connection:
        permits = house.permits(connection, [record])
        with pytest.raises(Denied, match="was merged into"):
            house.vault.store(connection, [record], permits=permits, batch=batch)


def test_rows_of_an_open_batch_move_invisible_and_can_still_be_discarded(house):
    """Nothing that was not complete becomes visible by a merge."""
    kept, dropped = house.subject(), house.subject()
    batch = house.open_batch()
    house.store_chunk(batch, house.record(dropped, diagnosis="icd10:I10"))
    merge(house, kept, dropped)
    assert values(house, kept, "diagnosis") == []
    assert len(rows(house, kept)) == 1
    house.batches.discard(batch.batch_id, asking=ASKING)
    assert rows(house, kept) == []


@pytest.mark.parametrize("point", ["_make_keys", "_move", "_destroy", "_conclude"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_merge_that_a_crash_interrupts_goes_on_at_the_next_start(house, monkeypatch, point: str, after: bool):
    """Whatever step died, and whether its commit was made: the end is the same, and nothing is lost."""
    kept = arrive(house, "his", "p-1", name="王芳")
    dropped = arrive(house, "app", "u-1", diagnosis="icd10:J45")
    change = begin_merge(house, kept, dropped)
    step = getattr(SubjectMover, point)

    def dies(self: SubjectMover, work: Any) -> None:
        if after:
            step(self, work)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(SubjectMover, point, dies)
        mover_of(house).finish(change)
    restarted = house.restarted()
    mover_of(restarted).resume()
    assert values(restarted, kept, "diagnosis") == [{"diagnosis": "icd10:J45"}]
    assert (rows(restarted, dropped), keys_of(restarted, dropped)) == ([], set())
    assert restarted.resolver.find("app", "u-1") == kept
    assert len(restarted.entries(Act.RECORDS_MOVED)) == len(restarted.entries(Act.KEYS_DESTROYED)) == 1
    assert mover_of(restarted).resume() == []


def test_changed_row_stops_a_merge_before_anything_is_destroyed(house):
    """Every value is verified on the way; the move stays open until the row is restored."""
    kept = arrive(house, "his", "p-1", name="王芳")
    dropped = arrive(house, "app", "u-1", diagnosis="icd10:J45", name="王方")
    change = begin_merge(house, kept, dropped)
    (row, *_) = rows(house, dropped)
    mine = sealed_record.c.row_no == row.row_no
    with house.data.write() as connection:
        connection.execute(update(sealed_record).where(mine).values(held_until=house.clock.now()))
    former = keys_of(house, dropped)
    with pytest.raises(IntegrityFailed):
        mover_of(house).finish(change)
    assert mover_of(house).resume() == []
    assert keys_of(house, dropped) == former
    with house.data.write() as connection:
        connection.execute(update(sealed_record).where(mine).values(held_until=row.held_until))
    assert len(mover_of(house).resume()) == 1


def test_derived_data_of_the_dropped_one_is_forgotten_while_its_pseudonyms_are_known(house):
    """The parts above are told before the way back goes, once more after a crash."""
    kept, dropped = arrive(house, "his", "p-1", name="王芳"), arrive(house, "app", "u-1", name="王方")
    name = house.pseudonyms.pseudonyms([dropped], scope="view")[dropped]
    told = []
    mover = mover_of(house, forget=lambda who, _asking: told.append(house.pseudonyms.of_subject(who)))
    mover.finish(begin_merge(house, kept, dropped))
    assert told == [{"view": name}]
    assert house.pseudonyms.of_subject(dropped) == {}


# --- what is refused


def test_move_waits_for_another_one(house):
    """Two moves of one subject do not cross."""
    one, two, three = house.subject(), house.subject(), house.subject()
    begin_merge(house, one, two)
    with pytest.raises(Conflict, match="are being moved"):
        begin_merge(house, three, one)


def test_what_an_erasure_left_stays_with_its_subject(house):
    """What the law holds of somebody who asked for erasure is not brought under a living subject."""
    kept, dropped = house.subject(), house.subject()
    house.store(house.record(dropped, diagnosis="icd10:I10"))
    house.erase(dropped)
    with pytest.raises(Conflict):
        begin_merge(house, kept, dropped)
    with pytest.raises(Conflict):
        begin_merge(house, dropped, kept)


def test_restricted_subject_makes_the_kept_one_restricted(house):
    """The stricter standing of both counts, and the records move all the same."""
    kept, dropped = house.subject(), house.subject()
    house.store(house.record(dropped, diagnosis="icd10:I10"))
    with house.data.write() as connection:
        set_standing(connection, dropped, Standing.RESTRICTED, now=house.clock.now())
    merge(house, kept, dropped)
    assert house.standing(kept) is Standing.RESTRICTED
    assert len(rows(house, kept)) == 1


def hold(house: House, subject: SubjectId, **columns: Any) -> None:
    row = {"hold_id": new_id("hld"), "subject_id": subject, "reference": "CASE-1", "set_by": "prn_officer",
           "set_at": house.clock.now()}  # fmt: skip
    known = {column.name for column in legal_hold.c}
    more = {"reason": b"sealed", "set_entry": "ent", "entry_id": "ent"}
    with house.data.write() as connection:
        connection.execute(insert(legal_hold).values({k: v for k, v in (row | more | columns).items() if k in known}))


def test_hold_on_the_dropped_one_must_stand_for_the_kept_one(house):
    """A move does not take records away from under a hold."""
    kept, dropped = house.subject(), house.subject()
    hold(house, dropped, compartment="clinical")
    with pytest.raises(Conflict, match="is under hold"):
        begin_merge(house, kept, dropped)
    hold(house, kept, compartment="identity")
    with pytest.raises(Conflict, match="is under hold"):
        begin_merge(house, kept, dropped)
    hold(house, kept)
    merge(house, kept, dropped)


def test_held_subject_is_not_split(house):
    """What is held stays together until the hold is released."""
    origin = house.subject()
    house.store(house.record(origin, diagnosis="icd10:I10"))
    hold(house, origin)
    with pytest.raises(Conflict, match="is under hold"):
        begin_split(house, origin, Selection(sources=frozenset({"his"})))


# --- split


def mixed(house: House) -> SubjectId:
    """One subject with the records of two people: the hospital's, and the app's."""
    one = arrive(house, "his", "p-1", name="王芳", diagnosis="icd10:I10", id_number="110101198005203742")
    house.resolver.link([(one, IdentityKeys("app", "u-1", mobile="13900139000"))], batch=None)
    house.store(
        PlainRecord(one, "profile", "app", "u-1-1", house.clock.now(), {"name": "李雷", "mobile": "13900139000"})
    )
    return one


def test_split_by_source_takes_its_records_and_its_ids_along(any_house):
    """The other person's records are sealed for them alone, and their source finds them."""
    origin = mixed(any_house)
    former = keys_of(any_house, origin)
    fresh = split(any_house, origin, sources=frozenset({"app"}), source_ids=(("app", "u-1"),))
    assert values(any_house, origin, "name") == [{"name": "王芳"}]
    assert values(any_house, fresh, "name") == [{"name": "李雷"}]
    assert any_house.resolver.find("app", "u-1") == fresh
    assert any_house.resolver.find("his", "p-1") == origin
    assert any_house.resolver.find_by_id_number("110101198005203742") == origin
    with any_house.keys.read() as connection:
        mobile = connection.execute(select(blind_index.c.subject_id).where(blind_index.c.field == "mobile"))
        assert mobile.scalars().all() == [fresh]
        gone = set(connection.execute(select(key_tombstone.c.key_id)).scalars())
    assert gone <= former
    assert len(gone) == 2, "the keys that had sealed records of both: identity and contact"
    assert {row.key_id for row in rows(any_house, origin)} & gone == set()


def test_split_takes_along_by_what_its_records_are_searched(any_house):
    """Values of indexed fields find the person whose they are; what both state finds both."""
    fields = with_indexes(any_house.catalogue, name=IndexKind.LOW, consult_chat=IndexKind.UNIQUE).fields
    resolver = SubjectResolver(any_house.keystore, fields)
    both = any_house.subject()
    for number, (name, chat) in enumerate([("张三", "头疼"), ("张三", "牙疼"), ("李四", "头晕")]):
        record = any_house.record(both, number=number, name=name, consult_chat=chat)
        any_house.store(replace(record, source="app" if number else "his"))
        resolver.link_fields([(both, "name", name), (both, "consult_chat", chat)], batch=None)
    fresh, change = begin_split(any_house, both, Selection(sources=frozenset({"app"})))
    mover_of(any_house, fields=fields).finish(change)
    for code, value, who in [
        ("consult_chat", "头疼", {both}), ("consult_chat", "牙疼", {fresh}), ("consult_chat", "头晕", {fresh}),
        ("name", "张三", {both, fresh}), ("name", "李四", {fresh}),
    ]:  # fmt: skip
        found = set(resolver.find_by_field(code, value, limit=9))
        assert found >= who if code == "name" else found == who  # two names may have one byte


def test_record_that_is_sent_again_after_a_split_follows_its_person(any_house):
    """The former subject's digest finds it under the new one."""
    origin = mixed(any_house)
    observed = any_house.clock.now()
    fresh = split(any_house, origin, sources=frozenset({"app"}), source_ids=(("app", "u-1"),))
    again = PlainRecord(fresh, "profile", "app", "u-1-1", observed, {"name": "李雷", "mobile": "13900139000"})
    assert any_house.store(again).duplicates == 1


def test_split_by_record_or_batch_takes_every_version(house):
    """A version does not stay behind with somebody else."""
    origin = house.subject()
    house.store(house.record(origin, diagnosis="icd10:I10"))
    house.store(house.record(origin, number=2, diagnosis="icd10:I20"))
    house.clock.advance(timedelta(hours=1))
    house.store(house.record(origin, diagnosis="icd10:I11"))
    first, second, third = rows(house, origin)
    one = split(house, origin, records=frozenset({RecordId(first.record_id)}))
    assert values(house, one, "diagnosis") == [{"diagnosis": "icd10:I11"}]
    assert {row.row_no for row in rows(house, one)} == {first.row_no, third.row_no}
    two = split(house, origin, batches=frozenset({BatchId(second.batch_id)}))
    assert values(house, two, "diagnosis") == [{"diagnosis": "icd10:I20"}]
    assert rows(house, origin) == []


def test_source_id_that_is_not_named_stays(house):
    """Records move by what is selected, later ones follow the ids that are named."""
    origin = mixed(house)
    split(house, origin, sources=frozenset({"app"}))
    assert house.resolver.find("app", "u-1") == origin


def test_links_of_an_older_release_move_without_a_copy(house):
    """What was linked before identifiers were kept sealed beside their digests is found under the right person, too."""
    origin = mixed(house)
    with house.keys.write() as connection:
        connection.execute(update(blind_index).values(sealed=None))
    fresh = split(house, origin, sources=frozenset({"app"}), source_ids=(("app", "u-1"),))
    assert house.resolver.find("app", "u-1") == fresh
    merge(house, origin, fresh)
    assert house.resolver.find("app", "u-1") == origin


def test_selection_of_nothing_is_refused(house):
    """A split that would move nothing is a mistake."""
    origin = mixed(house)
    with pytest.raises(NotFound, match="Nothing of subject"):
        begin_split(house, origin, Selection(sources=frozenset({"elsewhere"})))
    with pytest.raises(NotFound, match="Nothing of subject"):
        begin_split(house, origin, Selection())


def test_split_that_a_crash_interrupts_goes_on(house, monkeypatch):
    """The selection is remembered, and the stored digests stand for the sources' ids."""
    origin = mixed(house)
    fresh, change = begin_split(house, origin, Selection(frozenset({"app"}), source_ids=(("app", "u-1"),)))

    def dies(_self: SubjectMover, _work: Any) -> None:
        raise KeyboardInterrupt

    for point in ("_move", "_destroy", "_conclude"):
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(SubjectMover, point, dies)
            mover_of(house).finish(change)
    mover_of(house.restarted()).resume()
    assert house.resolver.find("app", "u-1") == fresh
    assert values(house, fresh, "name") == [{"name": "李雷"}]
    assert b"u-1" not in house.files(), "what a source calls a person is stored nowhere in clear"


def test_split_and_merge_back_gives_what_was_there(any_house):
    """A wrong split is taken back by a merge; the same content is not stored twice."""
    origin = mixed(any_house)
    before = values(any_house, origin, "name")
    fresh = split(any_house, origin, sources=frozenset({"app"}), source_ids=(("app", "u-1"),))
    merge(any_house, origin, fresh)
    assert values(any_house, origin, "name") == before
    assert any_house.resolver.find("app", "u-1") == origin


def test_record_that_came_to_both_is_kept_once_when_they_are_merged_back(any_house):
    """What a source sent again for the former person, value for value, is the same record and no second version."""
    house = any_house
    origin = arrive(house, "his", "p-1", diagnosis="icd10:I10")
    (stored,) = rows(house, origin)
    fresh = split(house, origin, records=frozenset({RecordId(stored.record_id)}))
    said = {"diagnosis": "icd10:I10"}
    house.store(PlainRecord(origin, "profile", "his", "p-1-1", house.clock.now(), said))
    done = merge(house, origin, fresh)
    assert (done.counts["rows"], done.counts["doubled"]) == (0, 1)
    assert len(rows(house, origin)) == 1
    assert values(house, origin, "diagnosis") == [said]


def test_new_subject_of_a_split_must_be_registered(house):
    """The rows of a subject that nobody registered would pass no gate."""
    origin = mixed(house)
    stranger = SubjectId(new_id("sub"))
    with house.data.write() as connection:
        register_subjects(connection, {stranger: None}, clock=house.clock)
        change = mover_of(house).begin_split(
            connection, origin=origin, fresh=stranger, selection=Selection(frozenset({"app"})), asking=ASKING
        )
    mover_of(house).finish(change)
    assert len(rows(house, stranger)) == 2


def test_bulk_load_of_somebody_with_moved_records_falls_back_to_single_records(house):
    """Sealed columns know their own subject's digests only; the chunk is told to be stored anew, and is no double."""
    kept = arrive(house, "his", "p-1", name="王芳")
    dropped = arrive(house, "app", "u-1", diagnosis="icd10:J45")
    observed = house.clock.now()
    merge(house, kept, dropped)
    again = PlainRecord(kept, "profile", "app", "u-1-1", observed, {"diagnosis": "icd10:J45"})
    batch = house.open_batch()
    with pytest.raises(KeysMoved):
        stored(house, batch, sealed(house, again), [again])
    assert house.store_chunk(batch, again).duplicates == 1
