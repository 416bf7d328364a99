"""Keys over HTTP speak as the sources that they are bound to, and as no other."""

from urllib.parse import quote

import pytest
from sqlalchemy import func, select, update

from audit.entries import decode_entry
from audit.tables import leaf
from consentry.stores.tables import principal
from consentry.workflows.list_accounts import list_accounts
from tests.consentry.conftest import ADMIN
from vault.tables import attachment, batch, sealed_record

NUMBER = "11010519491231002X"


@pytest.fixture
def his(call, captured):
    """A key of the hospital's, and a patient whom app and hospital know."""
    captured.person("u-1", "P02")
    return call(captured.machine_key("ingest", sources=["his", "pacs"], name="his"))


def body(captured, source):
    return {"source": source, "records": [captured.posted(diagnosis="icd10:I10")]}


def denials(platform):
    """What the log says of refused calls: reason and references."""
    platform.log.settle()
    with platform.data.read() as connection:
        rows = connection.scalars(select(leaf.c.body).where(leaf.c.act == "access.denied").order_by(leaf.c.leaf_index))
        return [(entry["reason"], dict(entry["refs"])) for entry in map(decode_entry, rows)]


def rows(platform):
    """Batches, records and files that are there."""
    with platform.data.read() as connection:
        return [
            connection.scalar(select(func.count()).select_from(table)) for table in (batch, sealed_record, attachment)
        ]


def test_records_of_another_source_are_refused(his, captured, platform, refused):
    """A stolen key of the app's does not replace what the hospital said; no batch is opened for it."""
    before = rows(platform)
    document = refused(his.post("/records", body(captured, "app")), 403, "ForeignSource")
    assert "not bound to source app" in document["detail"]
    assert denials(platform) == [("SOURCE", {"act": "records.ingest", "source": "app"})]
    assert rows(platform) == before


@pytest.mark.parametrize("source", ["his", "pacs"])
def test_records_of_each_own_source_are_taken(his, captured, source):
    """One machine may send for several."""
    assert his.post("/records", body(captured, source)).status_code == 201


def test_answer_to_another_key_is_not_given_again(his, captured, call, refused):
    """What a batch of another source led to is not told, under whichever idempotency key."""
    own = call(captured.machine_key("ingest", sources=["app"]))
    assert own.post("/records", body(captured, "app")).status_code == 201
    refused(his.post("/records", body(captured, "app")), 403, "ForeignSource")


def test_file_of_another_source_is_refused_unread(his, platform, refused):
    """Before the body is read, and whether or not the source knows the person."""
    said = his.http.post(
        "/v1/attachments",
        content=b"\x89PNG\r\n\x1a\n" + bytes(100),
        headers={
            **his.headers,
            "Attachment-Source": "app",
            "Attachment-Field": "images",
            "Attachment-Subject": "u-1",
            "Attachment-Record": "1",
            "Attachment-Observed-At": "2026-11-21T09:00:00+08:00",
            "Attachment-Name": quote("a.png"),
            "Content-Type": "image/png",
        },
    )
    refused(said, 403, "ForeignSource")
    assert denials(platform) == [("SOURCE", {"act": "records.ingest", "source": "app"})]
    assert rows(platform)[2] == 0


def test_capture_key_registers_nobody_for_another_source(captured, call, platform, refused):
    """Otherwise it would say whom the hospital's number means; nothing of the reference stays."""
    page = call(captured.machine_key("capture", sources=["app"]))
    who = {"source": "his", "id": "p-1", "id_number": NUMBER}
    refused(page.post("/consents", captured.act("contract", who, "P01")), 403, "ForeignSource")
    assert platform.resolver.find("his", "p-1") is None
    assert denials(platform) == [("SOURCE", {"act": "contract", "source": "his"})]
    assert page.post("/consents", captured.act("contract", who | {"source": "app"}, "P01")).status_code == 201


def test_capture_key_names_no_guardian_by_another_source(captured, call, refused):
    """Who acts for somebody is named by an own source as well."""
    captured.person("u-1")
    captured.person("kid", birth_date="2018-05-05")
    page = call(captured.machine_key("capture", sources=["app"]))
    proof = {"mechanism": "document_check", "document": "household_register"}
    named = [
        captured.act(
            "guardian", captured.known("kid"), actor={"kind": "guardian", "subject": {"source": source, "id": "u-1"}},
            evidence=proof,
        )
        for source in ("his", "app")
    ]  # fmt: skip
    refused(page.post("/consents", named[0]), 403, "ForeignSource")
    assert page.post("/consents", named[1]).status_code == 201


def test_unbound_capture_key_and_ids_of_ours_pass(captured, call):
    """An id of ours is no source's; a key that is bound to none names people by any."""
    subject = captured.person("u-1")
    bound = call(captured.machine_key("capture", sources=["his"]))
    assert bound.post("/consents", captured.act("grant", {"subject_id": subject}, "P07")).status_code == 201
    unbound = call(captured.machine_key("capture"))
    assert unbound.post("/consents", captured.act("grant", captured.known("u-1"), "P08")).status_code == 201


def test_sources_are_listed(captured, platform):
    """By name for a bound key, any for one of an earlier release, nothing for a person."""
    for name in ("new", "old"):
        captured.machine_key("ingest", name=name, sources=["his", "app"])
    captured.person_account("dr.wu", "clinician")
    with platform.data.write() as connection:
        connection.execute(update(principal).where(principal.c.name == "old").values(sources=None))
    listed = {one["name"]: one["sources"] for one in list_accounts(platform, ADMIN)}
    assert (listed["new"], listed["old"], listed["dr.wu"]) == (["app", "his"], "any", None)
