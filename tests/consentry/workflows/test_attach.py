"""Files of a person's record: the gate and the log as for any field, from the sender to the reader."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from audit.entries import decode_entry
from audit.tables import leaf
from consentry.attachment_media import check_begins_as, clean_name, media_type_of
from consentry.platform import Platform
from consentry.principals import DailyCapReached, authenticate_key
from consentry.workflows.admit import NotPermitted, begin_reading
from consentry.workflows.approvals import ApprovalNeeded
from consentry.workflows.attach import SentFile, list_attachments, open_attachment, store_attachment
from consentry.workflows.break_glass import break_glass
from consentry.workflows.read_versions import open_history, open_profile
from consentry.workflows.reveal import reveal
from kernel.catalogue import ATTACHMENT_MEDIA
from kernel.errors import BadInput, Denied, NotFound
from tests.consentry.conftest import ADMIN, Captured
from vault.tables import attachment, attachment_chunk

PNG = b"\x89PNG\r\n\x1a\n" + bytes(300)


@pytest.fixture
def patient(captured: Captured) -> str:
    """An adult who granted care."""
    return captured.person("u-1", "P02")


def sent(platform: Platform, **other: object) -> SentFile:
    """A picture of the app's."""
    made = {
        "source": "app",
        "source_record": "img-1",
        "field": "images",
        "observed_at": platform.clock.now(),
        "name": "胸片.png",
        "media_type": "image/png",
        "source_subject": "u-1",
    }
    return SentFile(**{**made, **other})


def store(platform: Platform, *pieces: bytes, caller=ADMIN, **other: object):
    return store_attachment(platform, caller, sent(platform, **other), pieces or (PNG,))


def doctor(captured: Captured, role: str = "clinician"):
    """Somebody who may open."""
    return captured.person_account(f"dr.{next(captured.numbers)}", role)[0]


def entries(platform: Platform, act: str) -> list[dict]:
    platform.log.settle()
    with platform.data.read() as connection:
        rows = connection.scalars(select(leaf.c.body).where(leaf.c.act == act).order_by(leaf.c.leaf_index))
        return [decode_entry(body) for body in rows]


def stored_rows(platform: Platform) -> tuple[int, int]:
    with platform.data.read() as connection:
        return tuple(
            connection.scalar(select(func.count()).select_from(table)) for table in (attachment, attachment_chunk)
        )


def test_a_file_goes_in_and_comes_out(platform: Platform, captured: Captured, patient: str):
    """Stored under two permits, opened under another, each with its entry; the opening names the file."""
    stored = store(platform, PNG[:7], PNG[7:])
    assert [one.attachment_id for one in list_attachments(platform, ADMIN, patient)] == [stored.attachment_id]
    reader = doctor(captured)
    opened = open_attachment(platform, reader, stored.attachment_id, purpose="P02", reason="follow-up", ticket="INC-1")
    assert b"".join(opened.attachment.pieces) == PNG
    assert (opened.attachment.name, opened.attachment.media_type) == ("胸片.png", "image/png")
    (revealed,) = entries(platform, "vault.reveal")
    assert revealed["refs"]["attachment"] == stored.attachment_id
    assert (revealed["fields"], revealed["refs"]["ticket"], revealed["actor"]) == (
        ["images"],
        "INC-1",
        reader.principal_id,
    )
    assert [entry["counts"] for entry in entries(platform, "attachments.listed")] == [{"attachments": 1}]


@pytest.mark.parametrize("look", ["reveal", "history", "profile", "emergency"])
def test_files_are_not_asked_for_as_values(platform: Platform, captured: Captured, patient: str, look: str):
    """Nothing of them would come, and the log would say that they were opened; what to do instead is said."""
    store(platform)
    reader = doctor(captured)
    permits = entries(platform, "gate.permit")

    def ask(*fields: str) -> object:
        asked = {"subject": patient, "purpose": "P02", "fields": fields, "reason": "follow-up"}
        if look == "reveal":
            return reveal(platform, reader, **asked)
        if look == "emergency":
            return break_glass(platform, reader, **asked | {"purpose": "P15"})
        opens = open_history if look == "history" else open_profile
        return opens(platform, begin_reading(platform, reader, **asked))

    with pytest.raises(BadInput, match="images: files") as refused:
        ask("sex", "images")
    assert "consentry attach get" in refused.value.hint
    assert entries(platform, "vault.reveal") == []
    assert entries(platform, "gate.permit") == permits


def test_without_a_grant_nothing_is_stored(platform: Platform, captured: Captured):
    """The refusal stays in the log; no row stays."""
    captured.person("u-1")
    with pytest.raises(NotPermitted, match="images: NO_DECISION"):
        store(platform)
    assert stored_rows(platform) == (0, 0)
    assert entries(platform, "gate.refusal")[-1]["fields"] == ["images"]


def test_a_withdrawal_while_the_file_comes_is_obeyed(platform: Platform, captured: Captured, patient: str):
    """The gate is asked once more at the end, and its no takes back what has come."""

    def pieces() -> Iterator[bytes]:
        yield PNG
        captured.record(captured.act("withdraw", captured.known("u-1"), "P02"))
        yield bytes(1_000_000)

    with pytest.raises(NotPermitted, match="WITHDRAWN"):
        store_attachment(platform, ADMIN, sent(platform), pieces())
    assert stored_rows(platform) == (0, 0)


def test_a_withdrawal_closes_stored_files(platform: Platform, captured: Captured, patient: str):
    """What was stored under a grant opens for nobody once it is withdrawn."""
    stored = store(platform)
    captured.record(captured.act("withdraw", captured.known("u-1"), "P02"))
    with pytest.raises(NotPermitted):
        open_attachment(platform, doctor(captured), stored.attachment_id, purpose="P02", reason="curious")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"media_type": "text/html"}, "takes no such files"),
        ({"media_type": "image/jpeg"}, "does not begin as"),
        ({"name": "a\u202egnp.exe"}, "cannot be seen"),
        ({"name": "  "}, "1 to 255"),
        ({"source_subject": None}, "of one person"),
        ({"field": "diagnosis"}, "holds no files"),
        ({"field": "nope"}, "not in the catalogue"),
    ],
)
def test_what_cannot_be_is_refused(platform: Platform, patient: str, change: dict, why: str):
    """Types, names and fields that do not fit leave nothing."""
    with pytest.raises(BadInput, match=why):
        store(platform, **change)
    assert stored_rows(platform) == (0, 0)


def test_a_file_of_tomorrow_is_refused(platform: Platform, patient: str):
    """A clock that runs ahead by more than five minutes is wrong."""
    with pytest.raises(BadInput, match="future"):
        store(platform, observed_at=platform.clock.now() + timedelta(minutes=6))
    with pytest.raises(BadInput):
        store(platform, observed_at=datetime(2026, 11, 20))  # noqa: DTZ001 - what a sender may get wrong


def test_whom_the_source_never_sent_is_unknown(platform: Platform, patient: str):
    """A file makes nobody known."""
    with pytest.raises(NotFound, match="has not sent this person"):
        store(platform, source_subject="u-2")


def test_roles_are_kept(platform: Platform, captured: Captured, patient: str):
    """Who may not ingest sends nothing; who may not open, or not this level, opens nothing; all of it is logged."""
    stored = store(platform)
    with pytest.raises(Denied, match=r"may not do 'records\.ingest'"):
        store(platform, caller=doctor(captured), source_record="img-2")
    with pytest.raises(Denied, match=r"may not do 'attachments\.list'"):
        list_attachments(platform, doctor(captured, "health_manager"), patient)
    for role, purpose in (("health_manager", "P06"), ("operator", "P07")):
        with pytest.raises(Denied):
            open_attachment(platform, doctor(captured, role), stored.attachment_id, purpose=purpose, reason="x")
    assert [entry["reason"] for entry in entries(platform, "access.denied")] == ["ROLE"] * 4


def test_a_minors_file_needs_an_approval(platform: Platform, captured: Captured):
    """As any field of a minor's record does (R22)."""
    captured.person("u-1", "P02", birth_date="2010-01-02")
    stored = store(platform)
    with pytest.raises(ApprovalNeeded):
        open_attachment(platform, doctor(captured), stored.attachment_id, purpose="P02", reason="follow-up")


def test_a_keys_daily_cap_counts_files(platform: Platform, captured: Captured, patient: str):
    """As for records: by distinct subjects."""
    captured.person("u-2", "P02")
    bearer = captured.machine_key("ingest", cap=1, name="pacs")
    with platform.data.read() as connection:
        key = authenticate_key(connection, bearer=bearer, now=platform.clock.now())
    store(platform, caller=key)
    with pytest.raises(DailyCapReached):
        store(platform, caller=key, source_subject="u-2")


def test_an_ordinary_record_cannot_carry_a_file(platform: Platform, captured: Captured, patient: str):
    """A reference in the place of a file is quarantined."""
    said = captured.store([captured.posted("u-1", images="file-1")])
    assert [(row["reason"], row["field"]) for row in said["quarantined"]] == [("unknown_field", "images")]


def test_every_media_type_of_a_pack_has_its_sign():
    """A type that a pack may name is looked at when a file comes."""
    for media_type in ATTACHMENT_MEDIA:
        with pytest.raises(BadInput):
            check_begins_as(media_type, b"\x00\x01 no such file")


@pytest.mark.parametrize(
    ("media_type", "head"),
    [
        ("application/dicom", bytes(128) + b"DICM"),
        ("application/pdf", b"%PDF-1.7"),
        ("audio/mp4", b"\x00\x00\x00\x20ftypM4A "),
        ("audio/mpeg", b"ID3\x04"),
        ("audio/mpeg", b"\xff\xfb\x90"),
        ("audio/wav", b"RIFF\x24\x00\x00\x00WAVE"),
        ("image/tiff", b"II*\x00"),
        ("image/webp", b"RIFF\x24\x00\x00\x00WEBP"),
        ("text/plain", "患者：头痛三天\r\n".encode()),
        ("video/webm", b"\x1aE\xdf\xa3"),
        ("x/unknown", b"anything"),
    ],
)
def test_real_beginnings_pass(media_type: str, head: bytes):
    """As the formats have them."""
    check_begins_as(media_type, head)


def test_names_and_types_are_cleaned():
    """Folders and parameters are not kept."""
    assert clean_name("C:\\scans\\胸片 1.png") == "胸片 1.png"
    assert clean_name("../../etc/passwd") == "passwd"
    assert media_type_of("Text/Plain; charset=utf-8") == "text/plain"


def test_an_unknown_file_is_not_found(platform: Platform, captured: Captured):
    """An id that is nobody's opens nothing."""
    with pytest.raises(NotFound):
        open_attachment(platform, doctor(captured), "att_" + "a" * 24, purpose="P02", reason="x")
