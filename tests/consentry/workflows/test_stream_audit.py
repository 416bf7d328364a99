"""Streaming the log: under one checkpoint, in flat memory, with its own entry first."""

import csv
import io
import json
import threading
from base64 import b64decode
from hashlib import sha256

import pytest
from sqlalchemy import text

from audit.events import Act, Event, Outcome
from audit.ranges import WINDOW
from consentry.interchange.audit_csv import Heading
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.read_audit import AuditQuery, read_audit
from consentry.workflows.stream_audit import Format, StreamQuery, stream_audit
from kernel.errors import BadInput, Denied, IntegrityFailed
from kernel.ids import PrincipalId, RequestId


@pytest.fixture
def admin(captured):
    """Whoever runs the command line."""
    return captured.caller


def streamed(platform, caller, form=Format.OCSF, **asked):
    got = stream_audit(platform, caller, StreamQuery(form, **asked))
    return got, b"".join(got.chunks).decode()


def lines(text_):
    return [json.loads(line) for line in text_.splitlines()]


def fill(platform, count):
    event = Event(Act.AUDIT_READ, Outcome.ALLOWED, "usr_1", "administrator", RequestId("req_1"))
    with platform.data.write() as connection:
        platform.log.record_many(connection, [event] * count)


@pytest.mark.parametrize("form", Format)
def test_every_entry_is_streamed_under_one_checkpoint(platform, captured, admin, form):
    """As many lines as were announced, which are as many as the checkpoint covers."""
    captured.person("u-1", "P02")
    got, told = streamed(platform, admin, form)
    rows = list(csv.reader(io.StringIO(told, newline="")))[1:] if form is Format.CSV else lines(told)
    assert len(rows) == got.entries == got.checkpoint.size > 20


def test_reading_is_signed_for_before_the_first_byte(platform, captured, admin):
    """The entry says format, range and count, and stands under a checkpoint while nothing has been read yet."""
    captured.person()
    got = stream_audit(platform, admin, StreamQuery(Format.FHIR, first=2, acts=(Act.CONSENT_GRANTED,)))
    assert platform.log.settle().size == got.checkpoint.size + 1
    entry = read_audit(platform, admin, AuditQuery(act="audit.exported")).entries[-1]
    assert (entry["index"], entry["actor"]) == (got.checkpoint.size, "local:test")
    assert entry["counts"] == {"entries": got.entries}
    assert entry["refs"] == {"format": "fhir", "from": "2", "before": str(got.checkpoint.size)}
    with platform.data.read() as connection:
        assert platform.log.read_details(connection, entry["id"]) == {"filters": {"acts": ["consent.granted"]}}


def test_streamed_bytes_prove_themselves(platform, captured, admin):
    """What an event carries of its entry hashes to the leaf at its index, in both forms."""
    captured.person()
    ocsf = lines(streamed(platform, admin)[1])
    with platform.data.read() as connection:
        leaves = dict(connection.execute(text("SELECT leaf_index, leaf_hash FROM audit_leaf")).all())
    for event in ocsf:
        assert sha256(b"\x00" + event["raw_data"].encode()).digest() == leaves[event["metadata"]["sequence"]]
    for event in lines(streamed(platform, admin, Format.FHIR)[1])[: len(ocsf)]:
        parts = {part["url"]: part for part in event["extension"][0]["extension"]}
        entry = b64decode(parts["entry"]["valueBase64Binary"])
        assert sha256(b"\x00" + entry).digest() == leaves[int(parts["index"]["valueString"])]


def test_range_acts_and_times_narrow_the_stream(platform, captured, admin, clock):
    """Each filter holds, and all together."""
    captured.person("u-1")
    assert [e["metadata"]["sequence"] for e in lines(streamed(platform, admin, first=3, end=6)[1])] == [3, 4, 5]
    acts = {e["activity_name"] for e in lines(streamed(platform, admin, acts=(Act.SUBJECT_REGISTERED,))[1])}
    assert acts == {"subject.registered"}
    assert streamed(platform, admin, since=clock.now(), until=clock.now())[0].entries == 0
    assert streamed(platform, admin, first=10_000)[1] == ""


def test_range_turned_round_is_refused_before_anything_is_logged(platform, admin):
    """The smaller index comes first."""
    before = platform.log.settle().size
    with pytest.raises(BadInput, match="ends before it begins"):
        streamed(platform, admin, first=5, end=3)
    assert platform.log.settle().size == before


def test_role_without_the_act_gets_nothing(platform):
    """A clinician does not export the log."""
    clinician = Principal(PrincipalId("usr_" + "a" * 24), "dr", PrincipalKind.PERSON, "clinician")
    with pytest.raises(Denied):
        stream_audit(platform, clinician, StreamQuery(Format.CSV))


def test_csv_begins_as_it_is_asked_to(platform, admin):
    """Chinese heading behind a byte order mark for Excel; or no heading at all."""
    _, told = streamed(platform, admin, Format.CSV, heading=Heading.ZH, with_bom=True, end=1)
    assert told.startswith("\ufeff序号,")
    _, bare = streamed(platform, admin, Format.CSV, heading=Heading.NONE, end=1)
    assert bare.startswith("0,2026-")


def test_writer_does_not_wait_for_a_slow_reader(platform, admin):
    """Somebody who reads the stream slowly holds no lock: writes between two chunks go through."""
    fill(platform, 3 * WINDOW)
    got = stream_audit(platform, admin, StreamQuery(Format.CSV, heading=Heading.NONE))
    next(got.chunks)
    next(got.chunks)
    writer = threading.Thread(target=fill, args=(platform, 1))
    writer.start()
    writer.join(timeout=4)
    assert not writer.is_alive()
    assert sum(chunk.count(b"\n") for chunk in got.chunks) > WINDOW
    assert platform.log.settle().size == got.checkpoint.size + 2


def test_log_that_was_changed_is_not_streamed_as_signed(platform, captured, admin):
    """A changed entry ends the stream with an alarm."""
    captured.person()
    platform.log.settle()
    with platform.data.write() as connection:
        triggers = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
        for name in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("UPDATE audit_leaf SET body = replace(body, 'P02', 'P03') WHERE leaf_index > 3")
    with pytest.raises(IntegrityFailed):
        streamed(platform, admin)


def test_entry_of_a_newer_version_is_named_by_its_index(platform, admin, monkeypatch):
    """An act that this version does not know cannot be mapped, and is not left out in silence."""
    monkeypatch.delitem(Act._value2member_map_, "system.init")
    with pytest.raises(IntegrityFailed, match="at index 0 is none that this version knows"):
        streamed(platform, admin, Format.CSV)
