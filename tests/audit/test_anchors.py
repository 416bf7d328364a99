"""What outside parties said, as it is stored and handed out."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DBAPIError

from audit.anchors import (
    Anchor,
    AnchorKind,
    cosigned_note,
    cosigned_sizes,
    has_grown,
    keep_anchors,
    keep_checkpoint,
    newest_anchored,
    witness_name,
)
from audit.cosignatures import cosign
from audit.events import Act, Event, Outcome
from audit.signing import NoteSigner
from audit.verifier import open_checkpoint
from audit.verifier.notes import COSIGNATURE, open_cosignatures, parse_note
from kernel.ids import RequestId

FIRST = NoteSigner("w.example/1", b"1" * 32, algorithm=COSIGNATURE)
SECOND = NoteSigner("w.example/1", b"2" * 32, algorithm=COSIGNATURE)
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def by(signer, signed, at=AT):
    text = parse_note(signed.note).text
    return Anchor(AnchorKind.WITNESS, witness_name(signer.key), cosign(text, signer, at))


def keep(desk, signed, *given):
    with desk.database.write() as connection:
        kept = keep_checkpoint(connection, signed)
        return kept, keep_anchors(connection, kept.size, given, AT)


def test_cosigned_note_carries_every_stored_cosignature(any_desk):
    """Log and witnesses verify under one note; two keys of one name are two witnesses."""
    any_desk.fill(3)
    signed = any_desk.log.settle()
    _, new = keep(any_desk, signed, by(FIRST, signed), by(SECOND, signed))
    assert len(new) == 2
    with any_desk.database.read() as connection:
        note = cosigned_note(connection, signed)
        assert cosigned_sizes(connection) == {witness_name(FIRST.key): 3, witness_name(SECOND.key): 3}
    assert open_checkpoint(note, any_desk.checkpointer.verifier_key).size == 3
    assert set(open_cosignatures(note, [FIRST.key, SECOND.key])) == {FIRST.key, SECOND.key}


def test_note_without_cosignatures_stays_as_it_is(desk):
    """Nothing was said of this size."""
    desk.fill(3)
    signed = desk.log.settle()
    with desk.database.read() as connection:
        assert cosigned_note(connection, signed) == signed.note
        assert cosigned_sizes(connection) == {}
        assert newest_anchored(connection, limit=5) == []


def test_what_a_party_said_first_stays(any_desk):
    """Asked again about the same head, a witness states a later time: the row is not changed."""
    any_desk.fill(3)
    signed = any_desk.log.settle()
    first = by(FIRST, signed)
    keep(any_desk, signed, first)
    _, new = keep(any_desk, signed, by(FIRST, signed, AT.replace(year=2027)), by(SECOND, signed))
    assert [one.name for one in new] == [witness_name(SECOND.key)]
    with any_desk.database.read() as connection:
        assert first.token in cosigned_note(connection, signed)


def test_timestamps_are_no_lines_of_the_note(desk):
    """A DER token lies beside the note, never in it."""
    desk.fill(1)
    signed = desk.log.settle()
    keep(desk, signed, Anchor(AnchorKind.TIMESTAMP, "tsa.example", b"\x30\x00"), by(FIRST, signed))
    with desk.database.read() as connection:
        (listed,) = newest_anchored(connection, limit=5)
        assert cosigned_note(connection, signed) == listed.cosigned_note == signed.note + by(FIRST, signed).token
    assert {one.kind for one in listed.anchors} == set(AnchorKind)


def test_checkpoint_is_stored_once_and_its_first_bytes_count(any_desk):
    """Timestamps are over the stored note."""
    from dataclasses import replace

    any_desk.fill(2)
    signed = any_desk.log.settle()
    assert keep(any_desk, signed)[0] == signed
    assert keep(any_desk, replace(signed, note=signed.note + b"x"))[0] == signed


def test_newest_come_first_and_no_more_than_asked_for(desk):
    """The list is bounded."""
    for _ in range(4):
        desk.fill(1)
        signed = desk.log.settle()
        keep(desk, signed, by(FIRST, signed))
    with desk.database.read() as connection:
        assert [one.size for one in newest_anchored(connection, limit=3)] == [4, 3, 2]
        assert cosigned_sizes(connection) == {witness_name(FIRST.key): 4}


def test_anchors_cannot_be_changed_or_removed(any_desk):
    """A cosignature that was stored can be added to, never taken away."""
    any_desk.fill(1)
    signed = any_desk.log.settle()
    keep(any_desk, signed, by(FIRST, signed))
    for statement in ("UPDATE audit_anchor SET size = 0", "DELETE FROM audit_anchor"):
        with pytest.raises(DBAPIError), any_desk.database.write() as connection:
            connection.exec_driver_sql(statement)


def test_entries_about_anchoring_do_not_count_as_growth(desk):
    """Otherwise each anchoring would ask for the next; many of them in a row are looked into no further."""
    anchored = Event(Act.LOG_ANCHORED, Outcome.DONE, "system", "system", RequestId("req_1"))
    desk.fill(3)
    desk.record(anchored)
    desk.log.settle()
    with desk.database.read() as connection:
        assert not has_grown(connection, 3, 3)
        assert not has_grown(connection, 3, 4)
        assert has_grown(connection, 2, 4)
    desk.record(*[anchored] * 20)
    desk.log.settle()
    with desk.database.read() as connection:
        assert has_grown(connection, 3, 24)
