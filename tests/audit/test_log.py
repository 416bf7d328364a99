"""No receipt without a durable, signed entry that says exactly what is asked."""

import threading

import pytest
from sqlalchemy import text

from audit.events import Act, Outcome
from audit.log import LogUnavailable
from audit.receipts import ReceiptRefused
from audit.retention import destroy_subjects
from kernel.ids import EntryId, SubjectId, new_id


@pytest.fixture
def asked(subject):
    """What a clinician asks to open."""
    return {"actor": "prn_clinician", "purpose": "P06", "subjects": [subject], "fields": ["mobile", "name"]}


def test_permit_yields_a_receipt_under_a_signed_checkpoint(any_desk, subject, asked):
    """The receipt names entry, place and checkpoint, and the state on disk covers it."""
    any_desk.fill(3)
    (entry_id,) = any_desk.record(any_desk.permit(subject))
    receipt = any_desk.log.receipt(entry_id, **asked)
    assert (receipt.entry_id, receipt.index, receipt.tree_size) == (entry_id, 3, 4)
    assert any_desk.log.settle().size == 4
    receipt.redeem(**asked)


def test_entry_of_an_open_transaction_yields_no_receipt(open_desk, pg_url, subject, asked):
    """What may still be rolled back was not logged."""
    desk = open_desk(pg_url)
    with desk.database.write() as connection:
        entry_id = desk.log.record(connection, desk.permit(subject))
        with pytest.raises(LogUnavailable, match="not in the log"):
            desk.log.receipt(entry_id, **asked)
    assert desk.log.receipt(entry_id, **asked).index == 0


def test_rolled_back_entry_yields_no_receipt(desk, subject, asked):
    """Nor does what was rolled back."""
    entry_ids = []

    def write_and_fail():
        with desk.database.write() as connection:
            entry_ids.append(desk.log.record(connection, desk.permit(subject)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with pytest.raises(LogUnavailable, match="not in the log"):
        desk.log.receipt(entry_ids[0], **asked)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("actor", "prn_other"),
        ("purpose", "P07"),
        ("fields", ["mobile", "birth_date"]),
        ("subjects", [SubjectId("sub_" + "a" * 24)]),
        ("subjects", []),
    ],
)
def test_receipt_for_more_or_other_than_the_permit_is_refused(desk, subject, asked, part, value):
    """Actor, purpose and subjects are those of the entry, fields none beyond."""
    (entry_id,) = desk.record(desk.permit(subject))
    with pytest.raises(LogUnavailable, match=part):
        desk.log.receipt(entry_id, **{**asked, part: value})


def test_fewer_fields_than_the_permit_are_enough(desk, subject, asked):
    """The receipt then covers the fewer."""
    (entry_id,) = desk.record(desk.permit(subject))
    receipt = desk.log.receipt(entry_id, **{**asked, "fields": ["name"]})
    with pytest.raises(ReceiptRefused):
        receipt.redeem(**asked)


@pytest.mark.parametrize(
    ("act", "outcome"), [(Act.REFUSAL, Outcome.DENIED), (Act.PERMIT, Outcome.DENIED), (Act.REVEAL, Outcome.ALLOWED)]
)
def test_other_entries_than_permits_yield_no_receipt(desk, subject, asked, act, outcome):
    """A refusal opens nothing, however alike it looks."""
    event = desk.permit(subject)
    with desk.database.write() as connection:
        entry_id = desk.log.record(
            connection,
            type(event)(
                act, outcome, event.actor, event.role, event.request_id, "P06", subject=subject, fields=event.fields
            ),
        )
    with pytest.raises(LogUnavailable, match="act differ"):
        desk.log.receipt(entry_id, **asked)


def test_cohort_receipt_takes_exactly_the_cohort(any_desk, asked):
    """One more, one less or another: refused."""
    people = [SubjectId(new_id("sub")) for _ in range(200)]
    (entry_id,) = any_desk.record(any_desk.permit(cohort=tuple(people)))
    for wrong in (people[1:], [*people, SubjectId(new_id("sub"))], [*people[1:], SubjectId(new_id("sub"))]):
        with pytest.raises(LogUnavailable, match="subjects"):
            any_desk.log.receipt(entry_id, **{**asked, "subjects": wrong})
    any_desk.log.receipt(entry_id, **{**asked, "subjects": people}).redeem(**{**asked, "subjects": people[:3]})


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_cohort_member WHERE alias = (SELECT min(alias) FROM audit_cohort_member)",
        "UPDATE audit_cohort SET salt = zeroblob(32)",
        "DELETE FROM audit_cohort",
    ],
)
def test_cohort_whose_side_tables_were_changed_yields_no_receipt(desk, asked, statement):
    """The digest in the signed entry decides who was in the cohort."""
    people = [SubjectId(new_id("sub")) for _ in range(3)]
    (entry_id,) = desk.record(desk.permit(cohort=tuple(people)))
    with desk.database.write() as connection:
        connection.execute(text(statement))
    with pytest.raises(LogUnavailable, match="subjects"):
        desk.log.receipt(entry_id, **{**asked, "subjects": people})


def test_member_added_to_a_cohort_behind_the_log_yields_no_receipt(desk, subject, asked):
    """A row slipped into the side table does not make a subject part of the permit."""
    people = [SubjectId(new_id("sub")) for _ in range(3)]
    (entry_id, _) = desk.record(desk.permit(cohort=tuple(people)), desk.permit(subject))
    with desk.database.write() as connection:
        alias = desk.log.alias(connection, subject)
        connection.execute(text(f"INSERT INTO audit_cohort_member VALUES ('{alias}', '{entry_id}')"))
    with pytest.raises(LogUnavailable, match="subjects"):
        desk.log.receipt(entry_id, **{**asked, "subjects": [*people, subject]})


def test_subject_who_asks_for_their_own_gets_a_receipt(desk, subject, asked):
    """The actor stands under an alias in the entry, and is recognised."""
    (entry_id, other) = desk.record(
        *(
            type(event)(
                event.act,
                event.outcome,
                subject,
                "subject",
                event.request_id,
                "P06",
                subject=subject,
                fields=event.fields,
            )
            for event in [desk.permit()] * 2
        )
    )
    desk.log.receipt(entry_id, **{**asked, "actor": subject})
    with pytest.raises(LogUnavailable, match="actor"):
        desk.log.receipt(other, **{**asked, "actor": SubjectId(new_id("sub"))})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_leaf SET body = replace(body, 'P06', 'P07') WHERE leaf_index = 2",
        "UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE leaf_index = 1",
        "UPDATE audit_leaf SET body = x'ff' WHERE leaf_index = 2",
        "UPDATE audit_head SET peaks = zeroblob(64)",
        "DELETE FROM audit_leaf WHERE leaf_index = 2",
    ],
)
def test_log_that_was_changed_yields_no_receipt(desk, subject, asked, statement):
    """The stored bytes are proven under the signed root before anything is minted."""
    desk.fill(2)
    (entry_id,) = desk.record(desk.permit(subject))
    desk.log.settle()
    desk.unguarded(statement)
    with pytest.raises(LogUnavailable):
        desk.log.receipt(entry_id, **asked)


def test_id_that_points_at_other_bytes_yields_no_receipt(desk, subject, asked):
    """The id column leads to the entry; the bytes decide."""
    refused, permitted = desk.record(desk.permit(), desk.permit(subject))
    desk.log.settle()
    desk.unguarded(
        "UPDATE audit_leaf SET entry_id = 'x' WHERE leaf_index = 0",
        f"UPDATE audit_leaf SET entry_id = '{refused}' WHERE leaf_index = 1",
    )
    with pytest.raises(LogUnavailable, match="entry"):
        desk.log.receipt(refused, **asked)
    assert permitted != refused


def test_log_that_is_down_yields_no_receipt(desk, subject, asked):
    """A store that is gone opens nothing; the error says so in one line."""
    (entry_id,) = desk.record(desk.permit(subject))
    with desk.database.write() as connection:
        connection.execute(text("DROP TABLE audit_inbox"))
    with pytest.raises(LogUnavailable) as caught:
        desk.log.receipt(entry_id, **asked)
    assert "\n" not in caught.value.diagnostics()


def test_signer_that_is_down_yields_no_receipt(desk, subject, asked):
    """No signature, no key."""
    (entry_id,) = desk.record(desk.permit(subject))
    desk.state_path.mkdir()
    with pytest.raises(LogUnavailable, match="state cannot be read"):
        desk.log.receipt(entry_id, **asked)


def test_destroyed_mapping_yields_no_receipt(desk, subject, asked):
    """Who cannot be told any more cannot be opened."""
    (entry_id,) = desk.record(desk.permit(subject))
    with desk.database.write() as connection:
        destroy_subjects(connection, [subject], desk.journal.sealer)
    with pytest.raises(LogUnavailable, match="subjects"):
        desk.log.receipt(entry_id, **asked)


def test_unknown_entry_yields_no_receipt(desk, asked):
    """An id that was never logged."""
    with pytest.raises(LogUnavailable, match="not in the log"):
        desk.log.receipt(EntryId(new_id("ent")), **asked)


def test_settling_takes_everything_that_was_committed(desk):
    """However much waits, one call brings it under one checkpoint."""
    desk.fill(5_000)
    assert desk.log.settle().size == 5_000
    assert desk.rows("SELECT count(*) FROM audit_inbox") == [(0,)]


def test_many_threads_get_their_own_receipts(any_desk, asked):
    """Concurrent reveals do not disturb each other."""
    failures, indexes = [], []

    def reveal():
        try:
            for _ in range(4):
                person = SubjectId(new_id("sub"))
                (entry_id,) = any_desk.record(any_desk.permit(person))
                receipt = any_desk.log.receipt(entry_id, **{**asked, "subjects": [person]})
                receipt.redeem(**{**asked, "subjects": [person]})
                indexes.append(receipt.index)
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=reveal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(indexes) == list(range(16))
