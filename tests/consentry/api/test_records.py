"""Posting records: gated, all or nothing, repeatable."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from consentry.api.records import PostedBatch, PostedIdentity, PostedRecord
from vault.tables import batch, sealed_record

RECORD = {
    "source_subject": "u-1",
    "kind": "profile",
    "source_record": "1",
    "observed_at": "2026-11-20",
    "values": {"sex": "female"},
}


@pytest.fixture
def his(call, captured):
    """A caller with an ingest key."""
    return call(captured.machine_key("ingest"))


def body(*records):
    return {"source": "app", "records": list(records)}


def stored(platform) -> list[tuple[str, str]]:
    with platform.data.read() as connection:
        return [tuple(row) for row in connection.execute(select(sealed_record.c.kind, sealed_record.c.subject_id))]


def states(platform) -> list[str]:
    with platform.data.read() as connection:
        return list(connection.scalars(select(batch.c.state).order_by(batch.c.opened_at)))


def test_what_is_covered_is_stored_and_the_rest_is_named(his, captured, platform):
    """Field by field through the gate: a contract carries the sex, the diagnosis needs a grant."""
    subject = captured.person("u-1")
    said = his.post("/records", body(captured.posted("u-1", "profile", sex="女", diagnosis="icd10:I10")))
    assert said.status_code == 201
    assert said.json() == {
        "batch_id": said.json()["batch_id"],
        "repeated": False,
        "stored_records": 1,
        "stored_fields": 1,
        "duplicates": 0,
        "refused": {"diagnosis": {"NO_DECISION": 1}},
        "unmapped": {},
        "quarantined": [],
    }
    assert stored(platform) == [("profile", subject)]


def test_nothing_is_stored_of_somebody_unknown(his, captured, platform):
    """A record of nobody whom we know is named by its place; one with an identity of its own is refused by the gate."""
    stranger = captured.posted("u-9", sex="female") | {"identity": {"birth_date": "1990-01-01"}}
    said = his.post("/records", body(captured.posted("u-8", diagnosis="icd10:I10"), stranger)).json()
    assert said["quarantined"] == [{"locator": "records[0]", "reason": "unknown_person", "field": None}]
    assert said["refused"] == {"sex": {"NO_DECISION": 1}}
    assert stored(platform) == []


def test_bad_records_are_quarantined_by_name(his, captured):
    """An unknown field or kind, a date in the future and a wrong check digit are told, the rest is stored."""
    captured.person("u-1", "P02")
    number = captured.posted("u-1", "profile", "4") | {"identity": {"id_number": "110105194912310021"}}
    number["values"] = {"sex": "female"}
    said = his.post(
        "/records",
        body(
            captured.posted("u-1", diagnosis="icd10:I10"),
            captured.posted("u-1", "condition", "2", horoscope="leo"),
            captured.posted("u-1", "horoscope", "3", diagnosis="icd10:I10"),
            number,
            captured.posted("u-1", "condition", "5", diagnosis="icd10:I10") | {"observed_at": "2026-11-22"},
        ),
    ).json()
    assert (said["stored_records"], said["stored_fields"]) == (1, 1)
    assert said["quarantined"] == [
        {"locator": "records[1]", "reason": "unknown_field", "field": None},
        {"locator": "records[2]", "reason": "unknown_category", "field": "kind"},
        {"locator": "records[3]", "reason": "check_digit", "field": "id_number"},
        {"locator": "records[4]", "reason": "future_date", "field": "observed_at"},
    ]


def test_every_bad_record_of_the_largest_batch_is_listed(his, captured):
    """There is no file beside a posted batch, so that the answer leaves none out."""
    captured.person("u-1")
    bad = [captured.posted("u-1", "profile", str(n), horoscope="leo") for n in range(1000)]
    said = his.post("/records", body(*bad))
    assert [one["locator"] for one in said.json()["quarantined"]] == [f"records[{n}]" for n in range(1000)]
    assert his.post("/records", body(*bad, bad[0])).status_code == 422


def test_same_batch_again_gets_the_same_answer(his, captured, platform):
    """Sending after a time-out is safe: 200, the same counts and places, nothing stored twice."""
    captured.person("u-1", "P02")
    posted = body(captured.posted("u-1", diagnosis="snomed:999999"), captured.posted("u-1", "horoscope", a=1))
    first, again = his.post("/records", posted), his.post("/records", posted)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "repeated": True}
    assert first.json()["unmapped"] == {"snomed:999999": 1}
    assert len(stored(platform)) == 1


def test_batch_of_another_sender_is_told_apart_by_nothing(call, captured, platform):
    """Two systems that send the same records get the same account of them; they are stored once."""
    captured.person("u-1", "P02")
    posted = body(
        captured.posted("u-1", diagnosis="snomed:999999", sex="female"), captured.posted("u-1", "horoscope", a=1)
    )
    first = call(captured.machine_key("ingest")).post("/records", posted)
    rows = stored(platform)
    second = call(captured.machine_key("ingest")).post("/records", posted)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == {**first.json(), "repeated": True}
    assert stored(platform) == rows
    assert rows


def test_new_key_takes_the_records_through_the_gate_again(his, captured):
    """After a grant the same records are sent under a new key: what was refused is stored, the rest is there."""
    captured.person("u-1")
    posted = body(captured.posted("u-1", "profile", sex="female", diagnosis="icd10:I10"))
    first = his.post("/records", posted, Idempotency_Key="k-1")
    captured.grant("u-1", "P02")
    assert his.post("/records", posted, Idempotency_Key="k-1").json() == {**first.json(), "repeated": True}
    second = his.post("/records", posted, Idempotency_Key="k-2").json()
    assert second["refused"] == {}
    assert second["stored_fields"] >= 1
    assert second["batch_id"] != first.json()["batch_id"]


def test_key_of_another_batch_is_a_conflict(his, captured, refused):
    """A key names one request."""
    captured.person("u-1")
    his.post("/records", body(captured.posted("u-1", sex="female")), Idempotency_Key="k-1")
    other = his.post("/records", body(captured.posted("u-1", sex="male")), Idempotency_Key="k-1")
    refused(other, 409, "Conflict")


def test_key_that_reaches_its_cap_leaves_nothing_of_the_batch(call, captured, platform, refused):
    """A batch beyond the daily cap is discarded as a whole, and the answer says when to come back."""
    for name in ("u-1", "u-2", "u-3"):
        captured.person(name)
    his = call(captured.machine_key("ingest", cap=2))
    assert his.post("/records", body(captured.posted("u-1", sex="female"))).status_code == 201
    beyond = body(*(captured.posted(name, "profile", "x", sex="female") for name in ("u-1", "u-2", "u-3")))
    said = his.post("/records", beyond)
    document = refused(said, 429, "DailyCapReached")
    assert "2 subjects a day" in document["detail"]
    assert said.headers["retry-after"] == str(22 * 3600)
    assert states(platform) == ["complete", "discarded"]
    assert len(stored(platform)) == 1
    assert his.post("/records", body(captured.posted("u-2", sex="female"))).status_code == 201


def test_cap_counts_people_once_a_day(call, captured, clock, refused):
    """The same person may come again, and tomorrow others may."""
    captured.person("u-1")
    captured.person("u-2")
    app = call(captured.machine_key("capture", cap=1))
    grant = [captured.act("grant", captured.known(name), "P07") for name in ("u-1", "u-1", "u-2")]
    assert [app.post("/consents", act).status_code for act in grant] == [201, 201, 429]
    clock.advance(timedelta(hours=22))
    assert app.post("/consents", grant[2]).status_code == 201


def test_cap_never_stands_in_the_way_of_a_refusal_or_a_withdrawal(call, captured):
    """What ends a permission passes, however many people the key has touched."""
    captured.person("u-1", "P07")
    granted = captured.grant("u-1", "P02")
    app = call(captured.machine_key("capture", cap=1))
    assert (
        app.post(
            "/consents", captured.act("contract", captured.known("u-2") | {"birth_date": "1990-05-20"}, "P01")
        ).status_code
        == 201
    )
    closing = [
        captured.act("withdraw", captured.known("u-1"), "P07"),
        captured.act("refuse", captured.known("u-1"), "P08"),
    ]
    assert [app.post("/consents", act).status_code for act in closing] == [201, 201]
    assert app.post(f"/consents/{granted}/withdraw").status_code == 200
    assert app.post("/consents", captured.act("grant", captured.known("u-1"), "P07")).status_code == 429


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": "13912345678"}, "body.source: String should match pattern"),
        ({"source": "医院"}, "body.source"),
        ({"records": []}, "body.records: List should have at least 1 item"),
        ({"records": [{}]}, "body.records.0.source_subject: Field required"),
        ({"records": [RECORD | {"13912345678": 1}]}, "body.records.0.*: Extra inputs are not permitted"),
        ({"records": [RECORD | {"identity": {"13912345678": 1}}]}, "body.records.0.identity.*: Extra inputs"),
        ({"records": [RECORD | {"values": {}}]}, "body.records.0.values: Dictionary should have at least 1 item"),
        ({"records": ["x"]}, "body.records.0"),
        ({"extra": 1}, "body.*"),
    ],
)
def test_body_of_another_shape_is_refused_as_a_whole(his, captured, platform, *, refused, change, told):
    """The place is named, and no batch is opened."""
    document = refused(his.post("/records", body(captured.posted("u-1", sex="female")) | change), 422, "InvalidRequest")
    assert told in document["detail"]
    assert states(platform) == []


def test_one_value_of_ten_megabytes_is_too_large(his, captured, refused):
    """The body's limit stops it before it is read."""
    huge = his.post("/records", body(captured.posted("u-1", chief_complaint="x" * 10_000_000)))
    refused(huge, 413)


def test_representations_hide_values():
    """A body that is printed by accident shows its shape and no value."""
    record = PostedRecord(
        source_subject="pat-4711",
        kind="profile",
        source_record="rec-4711",
        observed_at="2026-11-20",
        values={"mobile": "13912345678"},
        identity=PostedIdentity(id_number="11010519491231002X"),
    )
    shown = repr(PostedBatch(source="app", records=[record]))
    assert "profile" in shown
    assert not [secret for secret in ("4711", "13912345678", "11010519491231002X") if secret in shown]
