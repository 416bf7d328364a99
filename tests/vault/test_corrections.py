"""Corrections and the history of a field: what stands, what is kept, and what a source can undo."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from audit.events import Act
from consent.standing import Standing, set_standing
from kernel.catalogue import IndexKind
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed, NotFound
from kernel.ids import RecordId
from tests.vault.conftest import ASKING, DEPLOYMENT, House, with_indexes
from vault.corrections import Corrected, Correction, Corrector
from vault.identity import IdentityKeys
from vault.records import FieldVersion
from vault.subjects import SubjectResolver
from vault.tables import sealed_record

REASON = "the person showed the discharge letter"


def corrector_of(house: House) -> Corrector:
    return Corrector(
        house.data, house.keystore, house.catalogue, house.log, house.clock, house.batches, deployment=DEPLOYMENT
    )


def correct(house: House, subject: str, record: str, *, reason: str = REASON, **values: Any) -> Corrected:
    """Ask the gate and correct some fields of a record."""
    said = Correction(subject, RecordId(record), values, reason)
    corrector = corrector_of(house)
    corrector.prepare(subject, [code for code in values if code in house.catalogue.fields])
    with house.data.write() as connection:
        permits = house.permits(connection, [house.record(subject, **values)])
        return corrector.correct(connection, said, permits=permits, asking=ASKING)


def history(house: House, subject: str, field: str, purpose: str = "P02") -> list[FieldVersion]:
    permit = house.permit(subject, purpose, field)
    return house.vault.open_history(permit, house.receipt(permit), subject=subject, fields=[field])


def value_of(house: House, subject: str, field: str, purpose: str = "P02") -> Any:
    (record,) = house.open(subject, purpose, field)
    return record.values[field]


def record_id_of(house: House, subject: str) -> str:
    with house.data.read() as connection:
        return connection.scalar(select(sealed_record.c.record_id).where(sealed_record.c.subject_id == subject))


def stored(house: House, **values: Any) -> tuple[str, str]:
    """Store one record and return its subject and id."""
    subject = house.subject()
    house.store(house.record(subject, **(values or {"diagnosis": "icd10:I10"})))
    return subject, record_id_of(house, subject)


def test_corrected_value_is_what_is_opened_and_the_old_one_stays_in_the_history(any_house):
    """A correction is a newer version under the same record, with its source, and undoes nothing."""
    subject, record = stored(any_house)
    any_house.clock.advance(timedelta(hours=1))
    made = correct(any_house, subject, record, diagnosis="icd10:I11")
    assert value_of(any_house, subject, "diagnosis") == "icd10:I11"
    first, second = history(any_house, subject, "diagnosis")
    assert (first.value, first.stands, first.reason, first.corrected_at) == ("icd10:I10", False, None, None)
    assert (second.value, second.stands, second.reason) == ("icd10:I11", True, REASON)
    assert (second.record_id, second.batch_id) == (made.records["diagnosis"], made.batch_id)
    assert second.corrected_at == second.stored_at == any_house.clock.now()
    assert (second.source, second.observed_at) == (first.source, first.observed_at)
    assert (first.stored_by, second.stored_by) == (ASKING.actor, ASKING.actor)
    assert first.record_key == second.record_key


def test_history_says_who_brought_each_version_and_under_which_permit(house):
    """Batch, permit and principal of every version come along."""
    subject, _ = stored(house)
    (version,) = history(house, subject, "diagnosis")
    with house.data.read() as connection:
        row = connection.execute(select(sealed_record)).one()
    assert (version.permit_id, version.batch_id) == (row.permit_id, row.batch_id)
    assert version.stored_at == house.clock.now()


def test_correction_leaves_an_entry_without_values_or_reason(house):
    """The log names record, fields and counts; the reason is sealed beside the value alone."""
    subject, record = stored(house)
    made = correct(house, subject, record, diagnosis="icd10:I11")
    (entry,) = house.entries(Act.RECORD_CORRECTED)
    assert entry["fields"] == ["diagnosis"]
    assert entry["refs"] == {"record": record, "batch": made.batch_id}
    assert entry["counts"] == {"values": 1}
    house.log.settle()
    everything = house.files()
    assert REASON.encode() not in everything
    assert b"icd10:I11" not in everything


def test_old_record_that_is_sent_again_does_not_undo_a_correction(any_house):
    """What the source observed before the correction stays in the history, whatever else it says and when it comes."""
    subject, record = stored(any_house)
    before = any_house.clock.now()
    any_house.clock.advance(timedelta(days=1))
    correct(any_house, subject, record, diagnosis="icd10:I11")
    late = any_house.record(subject, diagnosis="icd10:I12")
    object.__setattr__(late, "observed_at", before + timedelta(hours=1))
    any_house.store(late)
    assert value_of(any_house, subject, "diagnosis") == "icd10:I11"
    assert [one.stands for one in history(any_house, subject, "diagnosis")] == [False, True, False]


def test_later_observation_of_the_source_counts_and_is_listed_as_a_conflict(house):
    """A source that observed anew after the correction is believed, and a person is told."""
    subject, record = stored(house)
    correct(house, subject, record, diagnosis="icd10:I11")
    assert house.vault.find_conflicts([subject]) == []
    house.clock.advance(timedelta(minutes=1))
    house.store(house.record(subject, diagnosis="icd10:I12"))
    assert value_of(house, subject, "diagnosis") == "icd10:I12"
    (conflict,) = house.vault.find_conflicts([subject])
    assert (conflict.field, conflict.why) == ("diagnosis", "correction_overtaken")
    assert conflict.sources == ("his",)
    assert "I12" not in repr(conflict)


def test_later_observation_that_agrees_with_the_correction_is_no_conflict(house):
    """Where the source has taken the correction over there is nothing to decide."""
    subject, record = stored(house)
    correct(house, subject, record, diagnosis="icd10:I11")
    house.clock.advance(timedelta(minutes=1))
    house.store(house.record(subject, diagnosis="icd10:I11"))
    assert house.vault.find_conflicts([subject]) == []


def test_last_of_several_corrections_counts(house):
    """A correction can itself be wrong."""
    subject, record = stored(house)
    first = correct(house, subject, record, diagnosis="icd10:I11")
    correct(house, subject, first.records["diagnosis"], diagnosis="icd10:I13")
    assert value_of(house, subject, "diagnosis") == "icd10:I13"
    assert len(history(house, subject, "diagnosis")) == 3


def test_field_that_a_record_lacks_can_be_completed(any_house):
    """Completing is correcting (GDPR 16): the field gets its own place, and the record keeps its time."""
    subject, record = stored(any_house)
    correct(any_house, subject, record, name="王芳")
    assert value_of(any_house, subject, "name") == "王芳"
    with any_house.data.read() as connection:
        row = connection.execute(select(sealed_record).where(sealed_record.c.compartment == "identity")).one()
    assert row.purpose == "P02"
    assert row.observed_at == any_house.clock.now()
    assert row.expires_at == row.observed_at + any_house.catalogue.fields["name"].retention.keep


def test_other_fields_of_the_record_stay_as_they_are(house):
    """One row for each corrected value: nothing else is touched."""
    subject, record = stored(house, diagnosis="icd10:I10", consult_chat="头晕")
    correct(house, subject, record, diagnosis="icd10:I11")
    (opened,) = house.open(subject, "P02", "diagnosis", "consult_chat")
    assert opened.values == {"diagnosis": "icd10:I11", "consult_chat": "头晕"}


def test_event_is_corrected_and_not_completed(house):
    """What an event says belongs to its type; a field beside it has no time of keeping."""
    subject = house.subject()
    house.store(house.record(subject, "event", event_type="page_view", page="p-1"))
    record = record_id_of(house, subject)
    correct(house, subject, record, page="p-2")
    (opened,) = house.open(subject, "P08", "page")
    assert opened.values == {"page": "p-2"}
    with house.data.read() as connection:
        ends = set(connection.execute(select(sealed_record.c.expires_at)).scalars())
    assert len(ends) == 1, "the corrected value is kept as long as the event"
    with pytest.raises(BadInput, match="has no field 'coupon'"):
        correct(house, subject, record, coupon="c-1")


@pytest.mark.parametrize(
    ("values", "expected"),
    [({}, "needs a value"), ({"shoe_size": "41"}, "not in the catalogue")],
    ids=["nothing", "unknown field"],
)
def test_correction_without_a_known_field_is_refused(house, values: Mapping[str, str], expected: str):
    """A field that the catalogue does not know is not stored by this way either."""
    subject, record = stored(house)
    with house.data.write() as connection, pytest.raises(BadInput, match=expected):
        corrector_of(house).correct(
            connection, Correction(subject, RecordId(record), values, "x"), permits={}, asking=ASKING
        )


def test_record_of_somebody_else_is_not_found(house):
    """A record id leads nowhere under another subject."""
    _, record = stored(house)
    other = house.subject()
    with pytest.raises(NotFound, match="has no record"):
        correct(house, other, record, diagnosis="icd10:I11")


def test_record_whose_keeping_is_over_is_not_corrected(house):
    """What is not visible any more is not written anew."""
    subject, record = stored(house, consult_chat="头晕")
    house.clock.advance(timedelta(days=4 * 365))
    with pytest.raises(NotFound, match="has no record"):
        correct(house, subject, record, consult_chat="头痛")


def test_correction_needs_a_permit_for_each_field(house):
    """The gate says whether the purpose of collection still stands; without its permit nothing is stored."""
    subject, record = stored(house)
    said = Correction(subject, RecordId(record), {"diagnosis": "icd10:I11"}, "x")
    with house.data.write() as connection, pytest.raises(Denied, match="No permit for P02"):
        corrector_of(house).correct(connection, said, permits={}, asking=ASKING)
    assert value_of(house, subject, "diagnosis") == "icd10:I10"


def test_restricted_subject_keeps_its_records_as_they_are(house):
    """A restriction keeps what it finds (R16)."""
    subject, record = stored(house)
    with house.data.write() as connection:
        permits = house.permits(connection, [house.record(subject, diagnosis="x")])
        set_standing(connection, subject, Standing.RESTRICTED, now=house.clock.now())
        said = Correction(subject, RecordId(record), {"diagnosis": "icd10:I11"}, "x")
        with pytest.raises(Denied, match="restricted"):
            corrector_of(house).correct(connection, said, permits=permits, asking=ASKING)


def test_changed_record_is_not_built_upon(house):
    """A correction takes over what the row says of itself, so that row is verified first."""
    subject, record = stored(house)
    with house.data.write() as connection:
        connection.execute(update(sealed_record).values(held_until=None))
    with pytest.raises(IntegrityFailed):
        correct(house, subject, record, diagnosis="icd10:I11")


def test_correction_cannot_be_moved_to_another_record(house):
    """Mark and value are bound to the row: a correction of one record does not open under another."""
    subject, record = stored(house)
    house.store(house.record(subject, number=2, diagnosis="icd10:J45"))
    made = correct(house, subject, record, diagnosis="icd10:I11")
    with house.data.write() as connection:
        other = connection.scalar(
            select(sealed_record.c.record_key).where(sealed_record.c.record_id.not_in([record, *made.records.values()]))
        )
        connection.execute(
            update(sealed_record).where(sealed_record.c.record_id == made.records["diagnosis"]).values(record_key=other)
        )
    with pytest.raises(IntegrityFailed):
        house.open(subject, "P02", "diagnosis")


def test_opened_parts_of_a_history_do_not_print_their_values(house):
    """Versions and corrections redact themselves."""
    subject, record = stored(house)
    correct(house, subject, record, diagnosis="icd10:I11")
    for version in history(house, subject, "diagnosis"):
        assert "I1" not in repr(version)
    assert "icd10" not in repr(Correction(subject, RecordId(record), {"diagnosis": "icd10:I11"}, "icd10"))


def test_history_needs_permit_and_receipt_for_subject_and_fields(house):
    """As for opening: another's subject, a field beyond the permit, and a second use of the receipt are refused."""
    subject, _ = stored(house)
    permit = house.permit(subject, "P02", "diagnosis")
    receipt = house.receipt(permit)
    with pytest.raises(Denied):
        house.vault.open_history(permit, receipt, subject=subject, fields=["diagnosis", "name"])
    with pytest.raises(Denied):
        house.vault.open_history(permit, receipt, subject=house.subject(), fields=["diagnosis"])
    house.vault.open_history(permit, receipt, subject=subject, fields=["diagnosis"])
    with pytest.raises(Denied):
        house.vault.open_history(permit, receipt, subject=subject, fields=["diagnosis"])


def test_cohort_sees_corrected_values(house):
    """Views are built from what stands."""
    subject, record = stored(house)
    correct(house, subject, record, diagnosis="icd10:I11")
    permit = house.permit([subject], "P02", "diagnosis")
    opened = house.cohort(permit, house.receipt(permit), "diagnosis")
    assert opened[subject] == [{"diagnosis": "icd10:I11"}]


def found(house: House, number: str) -> str | None:
    return house.resolver.find_by_id_number(number)


WRONG, RIGHT = "110101198005203742", "110101198005203750"


def identified(house: House, number: str = WRONG) -> tuple[str, str]:
    """Store somebody with an ID number by which later records find them."""
    subject, record = stored(house, id_number=number)
    house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number=number))], batch=None)
    return subject, record


def test_corrected_identifier_finds_the_person_and_the_wrong_one_finds_nobody(any_house):
    """Whoever has the other number in truth must not be taken for this person."""
    subject, record = identified(any_house)
    made = correct(any_house, subject, record, id_number=RIGHT)
    corrector_of(any_house).follow_up(made.change_id)
    assert (found(any_house, WRONG), found(any_house, RIGHT)) == (None, subject)
    assert any_house.resolver.find("his", "p-1") == subject, "what no record states stays"


def test_correction_back_is_found_again(house):
    """The last correction decides which number finds the person."""
    subject, record = identified(house)
    for number in (RIGHT, WRONG):
        corrector_of(house).follow_up(correct(house, subject, record, id_number=number).change_id)
    assert (found(house, WRONG), found(house, RIGHT)) == (subject, None)


def test_corrected_identifier_is_followed_up_after_a_crash(house):
    """The outbox remembers what the process that died had still to do; other fields leave nothing there."""
    subject, record = identified(house)
    correct(house, subject, record, id_number=RIGHT)
    assert found(house, RIGHT) is None
    assert corrector_of(house.restarted()).resume() == 1
    assert found(house, RIGHT) == subject
    correct(house, subject, record, name="王芳")
    assert corrector_of(house).resume() == 0


def searching(house: House) -> SubjectResolver:
    """Let names and chats be searched, names by a truncated index."""
    house.catalogue = with_indexes(house.catalogue, name=IndexKind.LOW, consult_chat=IndexKind.UNIQUE)
    return SubjectResolver(house.keystore, house.catalogue.fields)


def test_corrected_value_of_an_indexed_field_is_found_and_the_wrong_one_is_not(any_house):
    """A search finds what stands; what another record still states, it finds as well."""
    resolver = searching(any_house)
    subject, record = stored(any_house, consult_chat="头疼", name="张三")
    any_house.store(any_house.record(subject, number=2, consult_chat="头晕"))
    said = {"consult_chat": ["头疼", "头晕"], "name": ["张三"]}
    resolver.link_fields([(subject, code, value) for code, each in said.items() for value in each], batch=None)
    made = correct(any_house, subject, record, consult_chat="牙疼", name="章三")
    corrector_of(any_house).follow_up(made.change_id)
    found = {
        value: resolver.find_by_field("consult_chat", value, limit=9) == [subject] for value in ("头疼", "头晕", "牙疼")
    }
    assert found == {"头疼": False, "头晕": True, "牙疼": True}
    assert resolver.find_by_field("name", "章三", limit=9) == [subject]


def test_corrected_value_is_found_after_a_crash(house):
    """The outbox remembers it, whatever the indexed field is."""
    resolver = searching(house)
    subject, record = stored(house, consult_chat="头疼")
    correct(house, subject, record, consult_chat="牙疼")
    assert resolver.find_by_field("consult_chat", "牙疼", limit=9) == []
    again = house.restarted()
    again.catalogue = house.catalogue
    assert corrector_of(again).resume() == 1
    assert resolver.find_by_field("consult_chat", "牙疼", limit=9) == [subject]


def test_corrected_value_of_an_event_is_not_searched(house):
    """What people did finds nobody, before a correction and after it."""
    resolver = searching(house)
    subject = house.subject()
    house.store(house.record(subject, "event", consult_chat="头疼", event_type="page_view"))
    made = correct(house, subject, record_id_of(house, subject), consult_chat="牙疼")
    corrector_of(house).follow_up(made.change_id)
    assert resolver.find_by_field("consult_chat", "牙疼", limit=9) == []


def test_identifier_of_somebody_else_stops_the_follow_up_and_not_the_start(house, caplog):
    """Two people with one number are for a person to merge; until then it finds whom it found before."""
    other, _ = identified(house, RIGHT)
    subject, record = stored(house, id_number=WRONG)
    made = correct(house, subject, record, id_number=RIGHT)
    with pytest.raises(Conflict, match="belongs to subject"):
        corrector_of(house).follow_up(made.change_id)
    assert corrector_of(house).resume() == 0
    assert "is not followed up" in caplog.text
    assert RIGHT not in caplog.text
    assert found(house, RIGHT) == other


def test_erasure_of_the_field_takes_the_correction_and_its_reason_along(any_house):
    """The history of an erased field is empty, and no key that sealed its reason is left."""
    subject, record = stored(any_house, consult_chat="头晕", name="王芳")
    correct(any_house, subject, record, consult_chat="头痛")
    done = any_house.eraser.fields.erase(
        subject, lambda _connection, stored: stored & {"consult_chat"}, asking=ASKING, reason="asked"
    )
    assert (done.fields, done.counts["values"]) == ({"consult_chat"}, 2)
    assert history(any_house, subject, "consult_chat") == []
    assert value_of(any_house, subject, "name") == "王芳"
    with any_house.data.read() as connection:
        assert {row.compartment for row in connection.execute(select(sealed_record))} == {"identity"}
