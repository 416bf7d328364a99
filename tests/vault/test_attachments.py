"""Attachments: what comes back is what was sent, whole, or nothing; every change of a stored byte is found."""

import os
import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, func, insert, select, update

from audit.receipts import Receipt
from consent.permits import Permit, PermitExpired
from kernel.database import Database
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed, NotFound, Unavailable
from tests.vault.conftest import DEPLOYMENT, House
from tests.vault.filing import Filing, content_of
from vault._content import CHUNK_BYTES
from vault.attachments import Attachments
from vault.data_rotation import DataKeys, rotate_data_keys
from vault.moving import SubjectMover
from vault.tables import attachment, attachment_chunk, data_key
from vault.uploads import StoredAttachment, TooLarge

NIGHTLY = os.environ.get("CONSENTRY_NIGHTLY") == "1"
LONG = 50 * 1024 * 1024 if NIGHTLY else 3 * 1024 * 1024


@pytest.fixture
def filing(house: House) -> Filing:
    """Files on SQLite."""
    return Filing.of(house)


@pytest.fixture
def any_filing(any_house: House) -> Filing:
    """Files on each engine."""
    return Filing.of(any_house)


def rows(database: Database, table=attachment) -> int:
    """How many rows a table has."""
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


# --- round trips


def test_a_file_comes_back_with_its_name_and_type(any_filing: Filing):
    """What was sent in three pieces over two chunks opens as it was, under permit and receipt."""
    subject = any_filing.house.subject()
    content = content_of(CHUNK_BYTES + 12_345)
    stored = any_filing.store(any_filing.wanted(subject), [content[:10], content[10:300_000], content[300_000:]])
    opened = any_filing.open(stored)
    assert (opened.name, opened.media_type, opened.size_bytes) == ("胸片.png", "image/png", len(content))
    assert b"".join(opened.pieces) == content
    assert any_filing.listed(subject) == [stored.attachment_id]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-2, 2), st.integers(1, 3), st.integers(1, 400_000))
@example(0, 1, 1)
@example(1, 2, CHUNK_BYTES)
def test_sizes_around_the_borders_of_chunks_come_back(filing: Filing, beside: int, chunks: int, piece: int):
    """No size is special, and none of the sender's pieces either."""
    content = content_of(max(1, chunks * CHUNK_BYTES + beside))
    piece = max(piece, 5_000)
    pieces = [content[at : at + piece] for at in range(0, len(content), piece)]
    subject = filing.house.subject("P02")
    assert filing.content(filing.store(filing.wanted(subject), pieces)) == content


def test_one_byte_comes_back(filing: Filing):
    """The smallest file has one chunk, which is the last one."""
    assert filing.content(filing.store(filing.wanted(filing.house.subject()), b"x")) == b"x"


def test_a_large_file_needs_little_memory_both_ways(house: House):
    """Memory does not grow with the file: 3 MB here, 50 MB at night."""
    filing = Filing.of(house, max_bytes=LONG + 1)
    piece = content_of(64 * 1024)
    stored, came = measured(
        lambda: filing.store(filing.wanted(house.subject()), (piece for _ in range(LONG // len(piece))))
    )
    size, went = measured(lambda: sum(map(len, filing.open(stored).pieces)))
    assert size == LONG
    assert max(came, went) < 12 * CHUNK_BYTES


def measured(work: Callable) -> tuple:
    """What some work returns, and how many bytes it held at most."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_same_file_sent_twice_is_kept_once(any_filing: Filing):
    """Who lost our answer sends again, and is told what is there; other content of the same record is another file."""
    wanted = any_filing.wanted(any_filing.house.subject())
    first = any_filing.store(wanted, content_of(9_000))
    again = any_filing.store(wanted, content_of(9_000))
    other = any_filing.store(wanted, content_of(9_001))
    assert (again.attachment_id, again.is_repeated) == (first.attachment_id, True)
    assert other.attachment_id != first.attachment_id
    assert rows(any_filing.house.data) == 2


# --- what is seen and when


def test_nothing_is_seen_before_the_last_piece(any_filing: Filing):
    """A file that has come half is neither listed nor found."""
    subject = any_filing.house.subject()
    with any_filing.begin(any_filing.wanted(subject)) as upload:
        upload.write(content_of(6 * CHUNK_BYTES))
        assert any_filing.listed(subject) == []
        with pytest.raises(NotFound), any_filing.house.data.read() as connection:
            any_filing.attachments.get(connection, upload.attachment_id)
        with pytest.raises(Conflict, match="not come whole"):
            any_filing.complete(upload)
    assert (rows(any_filing.house.data), rows(any_filing.house.data, attachment_chunk)) == (0, 0)


def test_a_sender_who_goes_away_leaves_nothing(filing: Filing):
    """An error on the way takes the file back with its chunks."""
    with pytest.raises(ConnectionError), filing.begin(filing.wanted(filing.house.subject())) as upload:
        upload.write(content_of(5 * CHUNK_BYTES))
        raise ConnectionError
    assert (rows(filing.house.data), rows(filing.house.data, attachment_chunk)) == (0, 0)


@pytest.mark.parametrize("chunks", [0, 4])
def test_what_a_crash_leaves_is_swept_and_was_never_readable(any_filing: Filing, chunks: int):
    """The key of a half file was in memory alone; an hour later start-up or server remove its chunks."""
    upload = any_filing.begin(any_filing.wanted(any_filing.house.subject()))
    upload.write(content_of(chunks * CHUNK_BYTES + 1))
    uploads = Filing.of(any_filing.house.restarted()).attachments.uploads
    assert uploads.sweep_stale() == 0, "it may still be coming to another process"
    with any_filing.house.data.read() as connection:
        assert connection.execute(select(attachment.c.payload, attachment.c.details)).one() == (None, None)
    any_filing.house.clock.advance(timedelta(hours=1, seconds=1))
    assert uploads.sweep_stale() == 1
    assert (rows(any_filing.house.data), rows(any_filing.house.data, attachment_chunk)) == (0, 0)
    with pytest.raises((Conflict, Unavailable)):
        upload.write(content_of(6 * CHUNK_BYTES))


def test_a_file_that_is_swept_while_it_comes_is_not_completed(filing: Filing):
    """Whoever comes back after its place was taken away is told to send again."""
    with filing.begin(filing.wanted(filing.house.subject())) as upload:
        upload.write(b"x")
        upload.end()
        filing.attachments.uploads.discard(upload.attachment_id)
        with pytest.raises(Conflict, match="taken away"):
            filing.complete(upload)


def test_chunks_of_a_file_that_was_taken_away_are_refused(any_filing: Filing):
    """No chunk is left without its file."""
    with any_filing.begin(any_filing.wanted(any_filing.house.subject())) as upload:
        any_filing.attachments.uploads.discard(upload.attachment_id)
        with pytest.raises(Conflict, match="taken away"):
            upload.write(content_of(5 * CHUNK_BYTES))


def test_a_file_that_comes_too_slowly_is_given_up(filing: Filing):
    """Fifteen minutes, however slow the sender."""
    with pytest.raises(Unavailable, match="too long"), filing.begin(filing.wanted(filing.house.subject())) as upload:
        upload.write(b"x")
        filing.house.clock.advance(timedelta(minutes=15))
        upload.write(b"y")


def test_a_file_ends_once(filing: Filing):
    """After its end nothing more is taken."""
    with filing.begin(filing.wanted(filing.house.subject())) as upload:
        upload.write(b"x")
        upload.end()
        with pytest.raises(Conflict, match="come whole"):
            upload.write(b"y")


def test_an_expired_file_is_not_seen(filing: Filing):
    """Its time of keeping hides it before the sweep takes it."""
    subject = filing.house.subject()
    stored = filing.store(filing.wanted(subject, "id_photo"), b"x")
    filing.house.clock.advance(timedelta(days=8))
    assert filing.listed(subject) == []
    with pytest.raises(NotFound):
        filing.content(stored, "P01")


# --- what is refused


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"field": "diagnosis"}, "holds no files"),
        ({"field": "nowhere"}, "not in the catalogue"),
        ({"media_type": "text/html"}, "takes no such files"),
        ({"name": ""}, "1 to 255"),
        ({"name": "x" * 256}, "1 to 255"),
    ],
)
def test_what_the_pack_does_not_allow_is_refused(filing: Filing, change: dict[str, str], why: str):
    """The permit is for another field here; what cannot be is told first."""
    wanted = filing.wanted(filing.house.subject())
    with pytest.raises(BadInput, match=why), filing.house.data.write() as connection:
        permit = filing.permit(connection, wanted.subject, "P02", "images")
        filing.attachments.uploads.begin(connection, replace(wanted, **change), permit=permit)
    assert rows(filing.house.data) == 0


def test_a_file_beyond_its_time_is_not_stored(filing: Filing):
    """An ID photo of last month has no place any more."""
    wanted = filing.wanted(filing.house.subject(), "id_photo")
    old = replace(wanted, observed_at=wanted.observed_at - timedelta(days=30))
    with pytest.raises(BadInput, match="time of keeping"):
        filing.begin(old)


def test_too_large_a_file_is_refused_at_the_first_byte_beyond(house: House):
    """The limit is a byte's, and nothing stays of what came before it."""
    filing = Filing.of(house, max_bytes=1_000)
    subject = house.subject()
    assert filing.content(filing.store(filing.wanted(subject), b"x" * 1_000)) == b"x" * 1_000
    with pytest.raises(TooLarge), filing.begin(filing.wanted(subject, number=2)) as upload:
        upload.write(b"x" * 1_000)
        upload.write(b"x")
    assert rows(house.data) == 1


def test_an_empty_file_is_refused(filing: Filing):
    """Nothing is no file."""
    with pytest.raises(BadInput, match="without content"):
        filing.store(filing.wanted(filing.house.subject()), b"")


def test_a_permit_for_another_field_stores_nothing(filing: Filing):
    """Neither at the beginning nor at the end."""
    wanted = filing.wanted(filing.house.subject())
    with pytest.raises(Denied, match="No permit"), filing.house.data.write() as connection:
        permit = filing.permit(connection, wanted.subject, "P02", "diagnosis")
        filing.attachments.uploads.begin(connection, wanted, permit=permit)
    with pytest.raises(Denied, match="No permit"), filing.begin(wanted) as upload:
        upload.write(b"x")
        upload.end()
        with filing.house.data.write() as connection:
            permit = filing.permit(connection, wanted.subject, "P02", "diagnosis")
            filing.attachments.uploads.complete(connection, upload, permit=permit, asking=filing.house.asking)
    assert rows(filing.house.data) == 0


def test_who_is_erased_meanwhile_takes_no_file(filing: Filing):
    """An erasure between the first piece and the last takes the half file along, and the rest is refused."""
    subject = filing.house.subject()
    with filing.begin(filing.wanted(subject)) as upload:
        upload.write(b"x")
        upload.end()
        with filing.house.data.write() as connection:
            permit = filing.permit(connection, subject, "P02", "images")
        filing.house.erase(subject)
        with pytest.raises(Denied, match="takes no more data"), filing.house.data.write() as connection:
            filing.attachments.uploads.complete(connection, upload, permit=permit, asking=filing.house.asking)


# --- the ways out


def test_opening_needs_permit_and_receipt(filing: Filing):
    """A receipt opens once, and only what its own permit is for."""
    first, second = (filing.store(filing.wanted(filing.house.subject()), b"x") for _ in range(2))
    with filing.house.data.write() as connection:
        permit = filing.permit(connection, first.subject, "P02", "images")
        other = filing.permit(connection, second.subject, "P02", "images")
    receipt = filing.house.receipt(permit)
    with pytest.raises(Denied, match="does not cover"):
        filing.attachments.open(permit, receipt, attachment_id=second.attachment_id)
    with pytest.raises(Denied, match="another permit"):
        filing.attachments.open(permit, filing.house.receipt(other), attachment_id=first.attachment_id)
    assert b"".join(filing.attachments.open(permit, receipt, attachment_id=first.attachment_id).pieces) == b"x"
    with pytest.raises(Denied, match="used before"):
        filing.attachments.open(permit, receipt, attachment_id=first.attachment_id)


def test_an_old_permit_opens_nothing(filing: Filing):
    """A minute after it was given."""
    stored = filing.store(filing.wanted(filing.house.subject()), b"x")
    with filing.house.data.write() as connection:
        permit = filing.permit(connection, stored.subject, "P02", "images")
    receipt = filing.house.receipt(permit)
    filing.house.clock.advance(timedelta(seconds=60))
    with pytest.raises(PermitExpired):
        filing.attachments.open(permit, receipt, attachment_id=stored.attachment_id)


def test_a_reading_that_has_begun_ends_in_ten_minutes(filing: Filing):
    """A slow reader cannot keep a key for ever."""
    stored = filing.store(filing.wanted(filing.house.subject()), content_of(2 * CHUNK_BYTES))
    pieces = filing.open(stored).pieces
    assert len(next(pieces)) == CHUNK_BYTES
    filing.house.clock.advance(timedelta(minutes=10))
    with pytest.raises(PermitExpired, match="too long"):
        next(pieces)


def test_an_erasure_ends_a_reading(filing: Filing):
    """What is erased between two pieces is not read to its end."""
    stored = filing.store(filing.wanted(filing.house.subject(), "recording"), content_of(2 * CHUNK_BYTES))
    pieces = filing.open(stored).pieces
    next(pieces)
    filing.house.erase(stored.subject)
    with pytest.raises(NotFound):
        next(pieces)


def test_open_is_the_only_way_out_and_takes_permit_and_receipt():
    """As for records."""
    hints = Attachments.open.__annotations__
    assert (hints["permit"], hints["receipt"]) == (Permit, Receipt)


def test_nothing_of_a_file_shows_in_a_repr(filing: Filing):
    """Neither name nor content nor key."""
    wanted = filing.wanted(filing.house.subject())
    upload = filing.begin(wanted)
    upload.write(b"content")
    opened = filing.open(filing.store(wanted, b"content"))
    told = f"{wanted!r} {upload!r} {upload.key!r} {opened!r} {upload.key._seal!r}"
    assert all(secret not in told for secret in ("胸片", "image-1", "content", upload.key._secret.hex()))
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(upload.key)


def test_storing_leaves_its_entry(filing: Filing):
    """Who, whose, which field, how many bytes; no name."""
    stored = filing.store(filing.wanted(filing.house.subject()), content_of(CHUNK_BYTES + 1))
    (entry,) = filing.house.entries("attachment.stored")
    assert entry["fields"] == ["images"]
    assert entry["counts"] == {"bytes": CHUNK_BYTES + 1, "chunks": 2}
    assert entry["refs"]["attachment"] == stored.attachment_id


def test_neither_name_nor_content_lies_in_clear(filing: Filing):
    """No file of either store holds a piece of them."""
    secret = "张三的胸片.png"
    content = content_of(CHUNK_BYTES * 2)
    filing.store(replace(filing.wanted(filing.house.subject(), number="影像-77"), name=secret), content)
    on_disk = filing.house.files()
    for piece in (secret.encode(), "影像-77".encode(), content[100:132], content[-32:], b"image/png"):
        assert piece not in on_disk


# --- whoever changes what is stored


@pytest.fixture
def two(filing: Filing) -> tuple[Filing, StoredAttachment, StoredAttachment]:
    """Two files of the same person, of three chunks each."""
    subject = filing.house.subject()
    first, second = (
        filing.store(filing.wanted(subject, number=n), content_of(2 * CHUNK_BYTES + 100, seed=b"%d" % n))
        for n in (1, 2)
    )
    return filing, first, second


def flipped(sealed: bytes, at: int) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(sealed)
    changed[at] ^= 1
    return bytes(changed)


def chunk(number: int, stored: StoredAttachment):
    """One chunk's row."""
    return (attachment_chunk.c.record_id == stored.attachment_id, attachment_chunk.c.number == number)


def sealed_chunk(connection, number: int, stored: StoredAttachment) -> bytes:
    """The bytes of one chunk."""
    return connection.scalar(select(attachment_chunk.c.sealed).where(*chunk(number, stored)))


def put(connection, number: int, stored: StoredAttachment, sealed: bytes) -> None:
    """Change a chunk."""
    connection.execute(update(attachment_chunk).where(*chunk(number, stored)).values(sealed=sealed))


def change_nonce(connection, first, second):
    put(connection, 1, first, flipped(sealed_chunk(connection, 1, first), 0))


def change_ciphertext(connection, first, second):
    put(connection, 1, first, flipped(sealed_chunk(connection, 1, first), 500))


def change_tag(connection, first, second):
    put(connection, 2, first, flipped(sealed_chunk(connection, 2, first), -1))


def cut_a_chunk(connection, first, second):
    put(connection, 2, first, sealed_chunk(connection, 2, first)[:-1])


def empty_a_chunk(connection, first, second):
    put(connection, 2, first, b"")


def swap_chunks(connection, first, second):
    one, other = sealed_chunk(connection, 0, first), sealed_chunk(connection, 1, first)
    put(connection, 0, first, other)
    put(connection, 1, first, one)


def repeat_a_chunk(connection, first, second):
    put(connection, 1, first, sealed_chunk(connection, 0, first))


def take_a_chunk_of_another_file(connection, first, second):
    put(connection, 1, first, sealed_chunk(connection, 1, second))


def drop_the_last(connection, first, second):
    connection.execute(delete(attachment_chunk).where(*chunk(2, first)))


def drop_the_first(connection, first, second):
    connection.execute(delete(attachment_chunk).where(*chunk(0, first)))


def append_one(connection, first, second):
    row = {"record_id": first.attachment_id, "number": 3, "sealed": sealed_chunk(connection, 2, first)}
    connection.execute(insert(attachment_chunk), row)


def truncate_at_a_border(connection, first, second):
    """The chunk before the last one takes the last one's number, which is not where it was sealed for."""
    drop_the_last(connection, first, second)
    append = {"record_id": first.attachment_id, "number": 2, "sealed": sealed_chunk(connection, 1, first)}
    connection.execute(insert(attachment_chunk), append)


def column_of(name: str):
    """Changes one column of the row to the other file's."""

    def change(connection, first, second):
        other = connection.scalar(select(attachment.c[name]).where(attachment.c.record_id == second.attachment_id))
        changed = update(attachment).where(attachment.c.record_id == first.attachment_id)
        connection.execute(changed.values({name: other}))

    change.__name__ = f"take_{name}_of_another"
    return change


def value_of(name: str, value: object):
    """Changes one column of the row."""

    def change(connection, first, second):
        changed = update(attachment).where(attachment.c.record_id == first.attachment_id)
        connection.execute(changed.values({name: value}))

    change.__name__ = f"change_{name}"
    return change


def flip_payload(at: int):
    """Changes a byte of the wrapped content key."""

    def change(connection, first, second):
        mine = attachment.c.record_id == first.attachment_id
        payload = connection.scalar(select(attachment.c.payload).where(mine))
        connection.execute(update(attachment).where(mine).values(payload=flipped(payload, at)))

    change.__name__ = f"flip_payload_{at}"
    return change


CHANGES = [
    change_nonce, change_ciphertext, change_tag, cut_a_chunk, empty_a_chunk, swap_chunks, repeat_a_chunk,
    take_a_chunk_of_another_file, drop_the_last, drop_the_first, append_one, truncate_at_a_border,
    column_of("payload"), column_of("details"), column_of("record_key"),
    value_of("source", "his"), value_of("purpose", "P05"), value_of("kind", "event"), value_of("schema_version", 1),
    value_of("field", "recording"), value_of("details", b"x"), value_of("payload", b"\x01\x00\x00"),
    flip_payload(3), flip_payload(-1), flip_payload(30),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_byte_or_place_is_found(two: tuple, change: Callable):
    """Every region of chunk, row and wrapped key; whatever was moved, cut, repeated or taken from elsewhere."""
    filing, first, second = two
    before = filing.content(second)
    with filing.house.data.write() as connection:
        change(connection, first, second)
        told = filing.attachments.get(connection, first.attachment_id)
    with pytest.raises((IntegrityFailed, NotFound)):
        filing.content(told)
    assert filing.content(second) == before


def test_a_file_given_to_somebody_else_does_not_open(two: tuple):
    """The row names whose it is, and its key is bound to that."""
    filing, first, _ = two
    other = filing.house.subject()
    filing.store(filing.wanted(other), b"x")
    with filing.house.data.write() as connection:
        mine = attachment.c.record_id == first.attachment_id
        connection.execute(update(attachment).where(mine).values(subject_id=other))
        told = filing.attachments.get(connection, first.attachment_id)
    with pytest.raises(IntegrityFailed):
        filing.content(told)


def test_a_file_that_becomes_another_field_while_it_is_opened_stays_closed(filing: Filing):
    """Permit and receipt are for the field that the row named first; the one that its key is bound to needs its own."""
    stored = filing.store(filing.wanted(filing.house.subject(), "recording"), b"another level")
    mine, engine = attachment.c.record_id == stored.attachment_id, filing.house.data.engine

    def name(field: str) -> None:
        with filing.house.data.write() as connection:
            connection.execute(update(attachment).where(mine).values(field=field))

    true_names = ["recording"]

    def back(*_given) -> None:
        if true_names:
            name(true_names.pop())

    name("images")
    with filing.house.data.write() as connection:
        permit = filing.permit(connection, stored.subject, "P02", "images")
    receipt = filing.house.receipt(permit)
    event.listen(engine, "checkin", back)  # when the first reading of the row has ended
    with pytest.raises(NotFound):
        filing.attachments.open(permit, receipt, attachment_id=stored.attachment_id)
    assert filing.content(stored) == b"another level"


# --- erasure and new keys


def test_an_erasure_takes_files_and_their_chunks(any_filing: Filing):
    """Half files, whole ones, and every byte of them."""
    subject = any_filing.house.subject()
    kept = any_filing.store(any_filing.wanted(any_filing.house.subject()), b"another person's")
    any_filing.store(any_filing.wanted(subject, "recording"), content_of(2 * CHUNK_BYTES))
    any_filing.begin(any_filing.wanted(subject, "recording", 2)).write(content_of(5 * CHUNK_BYTES))
    any_filing.house.erase(subject)
    assert any_filing.content(kept) == b"another person's"
    assert (rows(any_filing.house.data), rows(any_filing.house.data, attachment_chunk)) == (1, 1)


def test_a_held_file_outlives_the_erasure_of_the_rest(any_filing: Filing):
    """A picture of the medical record stays for fifteen years, under a key that nothing erased was sealed with."""
    subject = any_filing.house.subject()
    any_filing.house.store(any_filing.house.record(subject, consult_chat="free"))
    held = any_filing.store(any_filing.wanted(subject, "images"), content_of(CHUNK_BYTES + 1))
    any_filing.store(any_filing.wanted(subject, "recording", 2), b"free")
    with any_filing.house.data.read() as connection:
        before = dict(connection.execute(select(attachment.c.field, attachment.c.key_id)).all())
    outcome = any_filing.house.erase(subject)
    assert outcome.restricted_until is not None
    with any_filing.house.data.read() as connection:
        after = dict(connection.execute(select(attachment.c.field, attachment.c.key_id)).all())
    assert after.keys() == {"images"}
    assert after["images"] != before["images"]
    assert any_filing.content(held, "P05") == content_of(CHUNK_BYTES + 1)


def test_fields_of_files_are_erased_alone(any_filing: Filing):
    """The recording goes with its chunks; the record beside it moves to a new key and stays readable."""
    subject = any_filing.house.subject()
    any_filing.house.store(any_filing.house.record(subject, diagnosis="icd10:I10"))
    gone = any_filing.store(any_filing.wanted(subject, "recording"), content_of(2 * CHUNK_BYTES))
    stays = any_filing.store(any_filing.wanted(subject, "images", 2), content_of(2 * CHUNK_BYTES))
    made = any_filing.house.eraser.fields.erase(
        subject, lambda _connection, stored: stored & {"recording"}, asking=any_filing.house.asking, reason="asked"
    )
    assert made.fields == {"recording"}
    with pytest.raises(NotFound):
        any_filing.content(gone)
    assert any_filing.content(stays) == content_of(2 * CHUNK_BYTES)
    (record,) = any_filing.house.open(subject, "P02", "diagnosis")
    assert record.values == {"diagnosis": "icd10:I10"}
    assert rows(any_filing.house.data, attachment_chunk) == 2


def test_an_older_row_does_not_open_beside_todays_key_store(filing: Filing):
    """Restored after its field was erased, its wrapped key has lost the key that it was wrapped under."""
    subject = filing.house.subject()
    stored = filing.store(filing.wanted(subject, "recording"), b"content")
    with filing.house.data.read() as connection:
        row = connection.execute(select(attachment)).mappings().one()
        chunk_row = connection.execute(select(attachment_chunk)).mappings().one()
    filing.house.eraser.fields.erase(
        subject, lambda _connection, _stored: {"recording"}, asking=filing.house.asking, reason="asked"
    )
    with filing.house.data.write() as connection:
        connection.execute(insert(attachment), dict(row))
        connection.execute(insert(attachment_chunk), dict(chunk_row))
    with pytest.raises(NotFound):
        filing.content(stored)


def test_a_discarded_batch_leaves_the_key_that_a_file_needs(filing: Filing):
    """The batch made the key, the file was sealed under it meanwhile."""
    subject = filing.house.subject()
    batch = filing.house.open_batch()
    filing.house.store_chunk(batch, filing.house.record(subject, diagnosis="icd10:I10"))
    stored = filing.store(filing.wanted(subject), b"content")
    filing.house.batches.discard(batch.batch_id, asking=filing.house.asking)
    assert filing.content(stored) == b"content"


# --- other keys, other suites, other owners


def test_files_live_under_both_suites(sm_house: House):
    """SM4 seals and opens them; what came in one suite opens once the key around it is of the other."""
    filing = Filing.of(sm_house)
    stored = filing.store(filing.wanted(sm_house.subject()), content_of(CHUNK_BYTES + 1))
    assert filing.open(stored).digest.startswith("sm3:")
    assert filing.content(stored) == content_of(CHUNK_BYTES + 1)


def test_new_data_keys_leave_the_content_alone(filing: Filing):
    """The key around the content's key changes; its chunks do not."""
    house = filing.house
    subject = house.subject()
    stored = filing.store(filing.wanted(subject), content_of(CHUNK_BYTES + 1))

    def state() -> tuple[bytes, list[bytes]]:
        with house.data.read() as connection:
            chunks = connection.scalars(select(attachment_chunk.c.sealed).order_by(attachment_chunk.c.number)).all()
            return connection.scalar(select(attachment.c.key_id)), list(chunks)

    before = state()
    house.clock.advance(timedelta(days=1))
    rotate_data_keys(
        house.keystore, house.data, house.log, DataKeys(subject=subject), deployment=DEPLOYMENT, asking=house.asking
    )
    after = state()
    assert (after[0] != before[0], after[1]) == (True, before[1])
    assert filing.content(stored) == content_of(CHUNK_BYTES + 1)


def test_files_move_with_a_merge(any_filing: Filing):
    """They open under the kept subject, by the same chunks; the dropped one's keys are gone."""
    house = any_filing.house
    kept, dropped = house.subject(), house.subject()
    stored = any_filing.store(any_filing.wanted(dropped), content_of(CHUNK_BYTES + 1))
    with house.data.read() as connection:
        before = connection.scalars(select(attachment_chunk.c.sealed)).all()
    mover = SubjectMover(house.data, house.keystore, house.log, house.clock, deployment=DEPLOYMENT)
    with house.data.write() as connection:
        house.registry.merge(connection, kept=kept, dropped=dropped, asking=house.asking)
        change = mover.begin_merge(connection, kept=kept, dropped=dropped, asking=house.asking)
    mover.finish(change)
    assert any_filing.listed(kept) == [stored.attachment_id]
    assert any_filing.content(replace(stored, subject=kept)) == content_of(CHUNK_BYTES + 1)
    with house.data.read() as connection:
        assert connection.scalars(select(attachment_chunk.c.sealed)).all() == before
    with house.keys.read() as connection:
        assert not connection.scalars(select(data_key.c.key_id).where(data_key.c.subject_id == dropped)).all()
