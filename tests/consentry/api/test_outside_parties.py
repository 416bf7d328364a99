"""Authorities abroad and joint controllers, from the register over HTTP to the gate and to the other party."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from consent.notices import publish
from consent.recipients import record_recipient
from consent.registry import RecipientNotTold
from consentry.workflows.webhooks import add_webhook
from kernel.catalogue import Label, RecipientText, TransferMechanism
from tests.consentry.conftest import ADMIN
from tests.consentry.webhooks.conftest import Receiver

COURT = RecipientText(
    code="foreign_court", kind="authority", name=Label("境外法院", "Court abroad"), contact="clerk@court.example",
    country="SG", purposes=("P11",), method="on request", contract="REQ-1", term_from=date(2026, 1, 1),
    term_until=None, mechanism=TransferMechanism("security_assessment", "SA-1", date(2028, 1, 1)),
)  # fmt: skip
CLINIC = RecipientText(
    code="clinic-b", kind="joint", name=Label("乙诊所", "Clinic B"), contact="dpo@b.example", country="CN",
    purposes=("P08",), method="shared system", contract="JC-1", term_from=date(2026, 1, 1), term_until=None,
)  # fmt: skip


@pytest.fixture
def record(platform):
    """Records a version of a recipient."""

    def recorded(text, **changes):
        with platform.data.write() as connection:
            asking = platform.asking(ADMIN)
            record_recipient(
                connection, replace(text, **changes), platform.catalogue, asking=asking, log=platform.log
            )  # fmt: skip

    return recorded


@pytest.fixture
def receiver():
    """What stands for all joint controllers."""
    made = Receiver()
    yield made
    made.close()


def tell_of_court(platform):
    """Publish, in both languages, the next edition of the notice on sharing, which tells of the court."""
    known = platform.catalogue
    sharing = replace(known.purposes["P11"], recipients=(*known.purposes["P11"].recipients, COURT.code))
    told = replace(known, purposes={**known.purposes, "P11": sharing})
    row = {"recipient": COURT.name.en, "contact": COURT.contact, "purpose": "a case abroad", "method": COURT.method,
           "categories": "diagnosis"}  # fmt: skip
    with platform.data.write() as connection:
        for text in (notice for notice in known.notices if notice.code == "sharing"):
            changed = replace(text, version="2026-12", third_parties=(*text.third_parties, row))
            publish(connection, changed, told, asking=platform.asking(ADMIN), log=platform.log)
    return {"code": "sharing", "version": "2026-12", "locale": "en"}


def test_foreign_authority_gets_nothing_without_approval(call, captured, platform, record):
    """R12: though the person agreed and a mechanism stands, the request is denied, and says by which rule."""
    record(COURT)
    subject = captured.person("u-1")
    with pytest.raises(RecipientNotTold):
        captured.grant("u-1", "P11", recipient="foreign_court")
    captured.grant("u-1", "P11", recipient="foreign_court", notice=tell_of_court(platform))
    doctor = call(captured.token("clinician"))
    question = {"subject_id": subject, "purpose": "P11", "fields": ["diagnosis"], "recipient": "foreign_court"}
    said = doctor.post("/decisions", question)
    assert said.status_code == 200
    assert (said.json()["permitted"], said.json()["refused"]) == (False, {"diagnosis": "RECIPIENT"})
    explained = doctor.get(
        f"/subjects/{subject}/explain", purpose="P11", fields="diagnosis", recipient="foreign_court"
    ).json()["fields"]["diagnosis"]
    assert "approval" in {step["cites"] for step in explained["steps"] if not step["holds"]}
    platform.clock.advance(timedelta(minutes=1))
    record(COURT, approved_by="the competent authority, decision 7/2026")
    assert doctor.post("/decisions", question).json()["permitted"] is True


@pytest.mark.parametrize("taken_by", ["our page", "the other controller"])
def test_withdrawal_taken_by_one_controller_reaches_both(
    call, captured, login, platform, record, *, receiver, taken_by
):
    """R39: ours refuses from its commit, and the joint controllers are told, signed, whoever took it."""
    record(CLINIC)
    subject = captured.person("u-1")
    add_webhook(platform, ADMIN, recipient="*joint", url=receiver.url)
    granted = captured.grant("u-1", "P08")
    captured.store([captured.posted("u-1", topic="sleep")])
    platform.clock.advance(timedelta(minutes=1))
    bearer = login.token("u-1") if taken_by == "our page" else captured.machine_key("capture", name="clinic-b")
    assert call(bearer).post(f"/consents/{granted}/withdraw", {}).status_code == 200
    question = {"subject_id": subject, "purpose": "P08", "fields": ["topic"]}
    said = call(captured.token("clinician")).post("/decisions", question).json()
    assert said["refused"] == {"topic": "WITHDRAWN"}
    platform.wake.run_due(100)
    (told,) = [seen for seen in receiver.seen if seen.method == "POST"]
    body = json.loads(told.body)
    assert (body["type"], body["data"]["purpose"]) == ("consent.withdrawn", "P08")
    assert body["data"]["recipient"] == "*joint"
    assert "webhook-signature" in told.headers
    items = call(captured.token("compliance_officer")).get(f"/subjects/{subject}/wake").json()["items"]
    (webhook,) = [item for item in items if item["handler"] == "webhooks"]
    assert (webhook["state"], webhook["outcome"]["result"]) == ("done", "acknowledged")
