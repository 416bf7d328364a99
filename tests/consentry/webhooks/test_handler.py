"""Who is told of a closing, what, how it is signed, and that nobody who acknowledged is told twice."""

import base64
import hashlib
import hmac
import json
import logging
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from consent.recipients import record_recipient
from consent.wake import LEASE, Tally, system_asking
from consentry.platform import open_platform
from consentry.stores.builds import Release, add_release
from consentry.stores.webhooks import get_target
from consentry.wake.parts import WakeParts
from consentry.wake.webhook_messages import scope_of
from consentry.wake.webhooks import NotRecalledYet, ReceiverGone, WebhooksHandler
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.webhooks import disable_webhook, list_webhooks, renew_webhook
from kernel.catalogue import Label, RecipientText
from vault.tables import pseudonym


def verify(secret: str, headers, body: bytes) -> list[str]:
    """What a receiver does, after Standard Webhooks 1.0; returns every signature and fails where none fits."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers["webhook-signature"].split(" ")
    assert f"v1,{expected}" in given
    return given


def joint(platform, code="clinic-b", purposes=("P08",)) -> None:
    text = RecipientText(
        code=code, kind="joint", name=Label("乙诊所", "Clinic B"), contact="dpo@b.example", country="CN",
        purposes=tuple(purposes), method="shared system", contract="JC-1", term_from=date(2026, 1, 1), term_until=None,
    )  # fmt: skip
    with platform.data.write() as connection:
        record_recipient(connection, text, platform.catalogue, asking=system_asking(), log=platform.log)


def test_a_withdrawal_is_told_signed_and_without_values(insurer):
    """R15: the recipient learns whom, what and since when, by its own name of the person, signed by the standard."""
    insurer.captured.store([insurer.captured.posted("u-1", sex="female")])
    insurer.withdraw()
    assert insurer.run().again == 0
    (seen,) = insurer.receiver.seen
    (item,) = insurer.items()
    assert verify(insurer.secret, seen.headers, seen.body) == [seen.headers["webhook-signature"]]
    assert seen.headers["webhook-id"] == item.item_id
    assert int(seen.headers["webhook-timestamp"]) == int(insurer.platform.clock.now().timestamp())
    told = json.loads(seen.body)
    assert told["type"] == "consent.withdrawn"
    data = told["data"]
    assert data.pop("fields") == sorted(data_fields(insurer))
    assert data == {
        "person": insurer.name("recipient:insurer"),
        "purpose": "P11",
        "recipient": "insurer",
        "decision": item.closing.decision_id,
        "effective_at": told["timestamp"],
        "held_as": [],
    }
    assert insurer.subject.encode() not in seen.body
    assert b"female" not in seen.body
    assert (item.outcome["result"], item.outcome["counts"]) == ("acknowledged", {"sent": 1})


def data_fields(told) -> frozenset[str]:
    scope = next(one for one in told.platform.catalogue.recipients if one.code == "insurer").fields
    return scope & told.platform.catalogue.fields_by_purpose["P11"]


def test_the_entry_names_the_target_that_was_told(insurer):
    """The log says what was closed, whom it was told and that it was acknowledged."""
    insurer.withdraw()
    insurer.run()
    (entry,) = [one for one in insurer.entries("wake.done") if one["refs"]["handler"] == "webhooks"]
    assert entry["refs"]["target"] == insurer.target
    assert entry["refs"]["result"] == "acknowledged"


def test_who_never_had_data_is_not_told(told):
    """Another purpose, another person or another recipient is nobody's business."""
    told.register("sunrise-courier")
    told.register("insurer")
    told.captured.person("u-2", "P08")
    told.captured.grant("u-1", "P08")
    told.withdraw("P08", None)
    told.captured.record(told.captured.act("withdraw", told.captured.known("u-2"), "P08"))
    told.run()
    assert told.receiver.seen == []
    told.withdraw()
    told.run()
    assert len(told.receiver.seen) == 1


def test_a_declared_recipient_of_a_general_grant_is_told(told):
    """R08: where one grant speaks for all who are named in the notice, its withdrawal is told to them."""
    told.register("research_partner")
    told.captured.grant("u-1", "P12")
    told.withdraw("P12", None)
    told.run()
    assert [body["data"]["recipient"] for body in told.bodies()] == ["research_partner"]


def test_joint_controllers_both_get_it(told, other_receiver):
    """R39: whoever takes the withdrawal, the other controllers learn of it; one endpoint can stand for them all."""
    joint(told.platform)
    told.register("clinic-b")
    told.register("*joint", other_receiver)
    told.captured.grant("u-1", "P08")
    told.withdraw("P08", None)
    told.run()
    assert told.results() == ["acknowledged", "acknowledged"]
    assert told.bodies()[0]["data"]["person"] == told.name("recipient:clinic-b")
    (other,) = [json.loads(one.body) for one in other_receiver.seen]
    assert other["data"]["recipient"] == "*joint"
    assert other["data"]["person"] == told.name("recipient:*joint")
    assert other["data"]["fields"] != []


def test_a_failed_delivery_is_asked_for_and_sent_again_under_its_id(insurer):
    """The receiver does not know it, so it is sent again; the id stays the same."""
    insurer.receiver.script(503)
    insurer.withdraw()
    assert insurer.run().again == 1
    assert insurer.items()[0].problem == "ReceiverFailed"
    insurer.platform.clock.advance(timedelta(minutes=1))
    assert insurer.run().done == 1
    assert insurer.receiver.methods() == ["POST", "GET", "POST"]
    assert len({one.headers["webhook-id"] for one in insurer.receiver.seen}) == 1
    asked = insurer.receiver.seen[1]
    verify(insurer.secret, asked.headers, b"")


@pytest.mark.parametrize("knows", [True, False])
def test_after_a_crash_the_receiver_is_asked_first(told, deployment, clock, knows):
    """Nothing is sent twice to a target that acknowledged: sent, killed before the mark, asked, done."""

    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "handled":
            raise Killed

    told.register()
    told.withdraw()
    with open_platform(deployment.settings, clock=clock, at=kill) as dying:
        while told.receiver.seen == []:
            with pytest.raises(Killed):
                dying.wake.run_next()
    told.receiver.answer_get(200 if knows else 404, b'{"received": true}')
    clock.advance(LEASE)
    assert told.run().again == 0
    assert told.receiver.methods() == (["POST", "GET"] if knows else ["POST", "GET", "POST"])
    assert told.items()[0].outcome["counts"] == ({"asked": 1} if knows else {"sent": 1})


def test_without_an_answer_an_item_dies_in_the_end(insurer):
    """Eight attempts, then a dead letter with its entry; a retry asks first, since one of them may have arrived."""
    for _ in range(8):
        insurer.receiver.script(500)
    insurer.withdraw()
    tally = Tally()
    for _ in range(8):
        tally = insurer.run()
        insurer.platform.clock.advance(timedelta(hours=11))
    assert tally.dead == 1
    assert insurer.entries("wake.dead")[0]["reason"] == "ReceiverFailed"
    insurer.receiver.answer_get(200, b'{"received": true}')
    insurer.platform.wake.retry(insurer.items()[0].item_id, system_asking())
    assert insurer.run().done == 1
    assert insurer.receiver.methods().count("POST") == 8


def grant_anew(insurer) -> None:
    insurer.act("grant", "P11", recipient="insurer", evidence={"mechanism": "tapped", "occasion": "own"})


def test_gone_disables_the_target_and_leaves_a_dead_letter(insurer):
    """R39: 410 means never again: the secret is deleted, and what was not told is dead at once, with its entry."""
    insurer.receiver.script(410)
    insurer.withdraw()
    assert insurer.run().dead == 1
    (item,) = insurer.items()
    (entry,) = insurer.entries("wake.dead")
    assert (item.problem, item.attempts, item.finished_entry) == ("ReceiverGone", 1, entry["id"])
    assert (entry["reason"], entry["refs"]["target"]) == ("ReceiverGone", insurer.target)
    (row,) = list_webhooks(insurer.platform, insurer.captured.caller)
    assert row["why"] == "gone"
    with insurer.platform.data.read() as connection:
        assert get_target(connection, insurer.target).secret == b""
    assert insurer.entries("webhook.recorded")[-1]["refs"] == {"webhook": insurer.target, "change": "disabled"}


def test_what_follows_after_an_address_is_gone_is_dead_until_there_is_another(insurer, other_receiver):
    """R39: no later closing is lost; each is a dead letter, and a retry tells the address that came afterwards."""
    insurer.receiver.script(410)
    insurer.withdraw()
    insurer.run()
    grant_anew(insurer)
    insurer.withdraw()
    insurer.run()
    assert [item.problem for item in insurer.items()] == ["ReceiverGone", "TargetDisabled"]
    assert insurer.receiver.methods() == ["POST"]
    insurer.platform.clock.advance(timedelta(minutes=1))
    other_receiver.answer_get(404)
    successor = insurer.register("insurer", other_receiver)
    for item in insurer.items():
        insurer.platform.wake.retry(item.item_id, system_asking())
    assert insurer.run().done == 2
    assert insurer.results() == ["acknowledged", "acknowledged"]
    assert {item.outcome["refs"]["sent_to"] for item in insurer.items()} == {successor}
    sent = [one for one in other_receiver.seen if one.method == "POST"]
    assert [one.headers["webhook-id"] for one in sent] == [item.item_id for item in insurer.items()]
    verify(insurer.secret, sent[0].headers, sent[0].body)
    grant_anew(insurer)
    insurer.withdraw()
    assert [item.target for item in insurer.items()][-1] == successor


def test_a_recipient_with_another_address_is_told_there_alone(insurer, other_receiver):
    """Where one of two addresses is gone, the other one has every message already and gets none twice."""
    former = insurer.target
    insurer.register("insurer", other_receiver)
    insurer.receiver.script(410)
    insurer.withdraw()
    insurer.run()
    (dead,) = [item for item in insurer.items() if item.target == former]
    insurer.platform.wake.retry(dead.item_id, system_asking())
    assert insurer.run().dead == 1
    assert other_receiver.methods() == ["POST"]
    grant_anew(insurer)
    insurer.withdraw()
    assert [item.target for item in insurer.items()].count(former) == 1


def test_a_target_that_was_disabled_meanwhile_is_not_contacted(insurer):
    """Promise 7: what the operator took away is not asked any more; what it was not told is a dead letter (R39)."""
    insurer.withdraw()
    disable_webhook(insurer.platform, insurer.captured.caller, insurer.target)
    insurer.run()
    assert (insurer.results(), insurer.receiver.seen) == (["dead"], [])
    assert insurer.entries("wake.dead")[0]["reason"] == "TargetDisabled"
    grant_anew(insurer)
    insurer.withdraw()
    assert len(insurer.items()) == 1


def test_gone_of_a_target_that_is_disabled_already_changes_nothing(insurer, monkeypatch):
    """The operator was faster than the answer."""
    insurer.receiver.script(410)
    insurer.withdraw()
    handler = WebhooksHandler(parts_of(insurer.platform))
    post = handler._poster.post

    def disabling(*asked):
        answer = post(*asked)
        disable_webhook(insurer.platform, insurer.captured.caller, insurer.target)
        return answer

    monkeypatch.setattr(handler._poster, "post", disabling)
    with pytest.raises(ReceiverGone):
        handler.run(insurer.items()[0])
    assert list_webhooks(insurer.platform, insurer.captured.caller)[0]["why"] == "operator"


def test_a_poisoned_answer_is_no(insurer):
    """Whatever a receiver says to the question whether it has the message, the message is sent again."""
    insurer.receiver.script(503)
    insurer.withdraw()
    insurer.run()
    insurer.receiver.answer_get(200, b"[" * 60_000)
    insurer.platform.clock.advance(timedelta(minutes=1))
    assert insurer.run().done == 1
    assert insurer.receiver.methods() == ["POST", "GET", "POST"]


@pytest.mark.parametrize(("status", "posts"), [(503, 1), (429, 1), (400, 2)])
def test_a_receiver_that_takes_nothing_is_asked_once_for_everybody(insurer, status, posts):
    """An overloaded receiver is not tried for each person in turn; one that dislikes a message is."""
    insurer.captured.person("u-2")
    insurer.captured.grant("u-2", "P11", recipient="insurer")
    for _ in range(posts):
        insurer.receiver.script(status)
    insurer.withdraw()
    insurer.captured.record(insurer.captured.act("withdraw", insurer.captured.known("u-2"), "P11", recipient="insurer"))
    insurer.run()
    assert insurer.receiver.methods() == ["POST"] * posts
    insurer.platform.clock.advance(timedelta(minutes=1))
    insurer.run()
    with insurer.platform.data.read() as connection:
        assert insurer.platform.wake.oldest_open(connection) is None


def parts_of(platform) -> WakeParts:
    return WakeParts(**{name: getattr(platform, name) for name in WakeParts.__dataclass_fields__})


def test_whoever_granted_again_is_not_told_off(insurer):
    """A withdrawal that was followed by a grant before anybody was told is no longer news."""
    insurer.withdraw()
    insurer.act("grant", "P11", recipient="insurer", evidence={"mechanism": "tapped", "occasion": "own"})
    insurer.run()
    assert (insurer.results(), insurer.receiver.seen) == (["granted_again"], [])


def test_a_restriction_and_an_erasure_are_told(insurer):
    """R15, R16: whoever holds data learns of both; after the erasure no way back from the name is kept."""
    platform, caller = insurer.platform, insurer.captured.caller
    name = insurer.name("recipient:insurer")
    restrict_subject(platform, caller, subject=insurer.subject, reason="disputed")
    insurer.run()
    platform.clock.advance(timedelta(minutes=1))
    erase_subject(platform, caller, subject=insurer.subject, reason="asked")
    insurer.run()
    assert [body["type"] for body in insurer.bodies()] == ["subject.restricted", "subject.erased"]
    assert {body["data"]["person"] for body in insurer.bodies()} == {name}
    assert insurer.bodies()[0]["data"]["purpose"] is None
    with platform.keys.read() as connection:
        mine = pseudonym.c.subject_id == insurer.subject
        assert connection.scalar(select(func.count()).select_from(pseudonym).where(mine)) == 0


def test_secrets_stand_in_no_log_and_no_repr(insurer, caplog):
    """A secret is shown once, to the operator."""
    caplog.set_level(logging.DEBUG)
    made, secret = renew_webhook(insurer.platform, insurer.captured.caller, insurer.target)
    insurer.withdraw()
    insurer.run()
    shown = [insurer.secret, secret.reveal()]
    written = caplog.text + repr(made) + repr(secret) + json.dumps(insurer.entries("webhook.recorded"), default=str)
    written += json.dumps(list_webhooks(insurer.platform, insurer.captured.caller))
    for text in shown:
        assert text.removeprefix("whsec_") not in written
    insurer.platform.data.dispose()
    stored = (insurer.platform.settings.home / "data.db").read_bytes()
    assert all(base64.b64decode(text.removeprefix("whsec_")) not in stored for text in shown)


def test_two_secrets_sign_while_the_receiver_changes_over(insurer):
    """The former secret signs beside the new one for a day, then no more."""
    former = insurer.secret
    _, secret = renew_webhook(insurer.platform, insurer.captured.caller, insurer.target)
    insurer.withdraw()
    insurer.run()
    seen = insurer.receiver.seen[-1]
    assert len(verify(former, seen.headers, seen.body)) == 2
    verify(secret.reveal(), seen.headers, seen.body)
    insurer.act("grant", "P11", recipient="insurer", evidence={"mechanism": "tapped", "occasion": "own"})
    insurer.platform.clock.advance(timedelta(days=1))
    insurer.withdraw()
    insurer.run()
    seen = insurer.receiver.seen[-1]
    assert len(verify(secret.reveal(), seen.headers, seen.body)) == 1
    with pytest.raises(AssertionError):
        verify(former, seen.headers, seen.body)


@pytest.fixture
def holder(told):
    """The research partner holds a release with the person in it."""
    told.register("research_partner")
    told.captured.grant("u-1", "P12")
    scope = "export_research_partner/exp_1"
    manifest = {"manifest": {"purpose": "P12", "scope": "export_research_partner"}}
    row = Release("exp_1", "research_partner", "research_partner", scope, 1, told.platform.clock.now(), None)
    with told.platform.data.write() as connection:
        add_release(connection, row, json.dumps(manifest))
    told.platform.pseudonyms.pseudonyms([told.subject], scope=scope)
    return told


def test_the_holder_of_a_release_is_told_of_its_recall(holder):
    """R15: under the name that the person has in that very release."""
    holder.withdraw("P12", None)
    holder.run()
    closing, recalled = sorted(holder.bodies(), key=lambda body: body["type"])
    name = holder.name("export_research_partner/exp_1")
    assert closing["data"]["held_as"] == [{"export": "exp_1", "person": name}]
    assert (recalled["type"], recalled["data"]["export"], recalled["data"]["person"]) == (
        "export.recalled",
        "exp_1",
        name,
    )
    assert holder.results() == ["acknowledged", "acknowledged"]


def test_a_recall_is_told_after_it_was_made(holder):
    """The item waits for the recall that the same closing has planned."""
    holder.withdraw("P12", None)
    handler = WebhooksHandler(parts_of(holder.platform))
    (item,) = [one for one in holder.items() if "/" in one.target]
    with pytest.raises(NotRecalledYet):
        handler.run(item)
    assert holder.receiver.seen == []


def test_a_release_that_stays_is_not_told_of(holder):
    """Whoever granted again before anything was recalled: nothing was, and nothing is said."""
    holder.withdraw("P12", None)
    holder.act("grant", "P12", evidence={"mechanism": "tapped", "occasion": "own"})
    holder.run()
    assert holder.results() == ["granted_again", "not_recalled"]
    assert holder.receiver.seen == []


def test_a_scope_is_the_recipients_own():
    """Two recipients never know a person by the same name."""
    assert scope_of("insurer") != scope_of("insurer-2")


def test_a_release_that_nobody_knows_any_more_is_not_held(holder):
    """What is no longer listed cannot be told of."""
    holder.withdraw("P12", None)
    handler = WebhooksHandler(parts_of(holder.platform))
    (item,) = [one for one in holder.items() if "/" in one.target]
    gone = replace(item, target=item.target.replace("exp_1", "exp_2"))
    assert handler.run(gone).result == "not_held"


def test_a_closing_is_told_where_no_field_is_named(insurer):
    """A recipient whose contract names no field of the purpose learns of the withdrawal all the same."""
    insurer.withdraw()
    (item,) = insurer.items()
    circle = WebhooksHandler(parts_of(insurer.platform))
    narrow = {code: frozenset() for code in insurer.platform.catalogue.fields_by_purpose}
    object.__setattr__(insurer.platform.catalogue, "fields_by_purpose", narrow)
    try:
        assert circle.run(item).result == "acknowledged"
    finally:
        object.__delattr__(insurer.platform.catalogue, "fields_by_purpose")
    assert insurer.bodies()[0]["data"]["fields"] == []


def test_a_narrower_grant_is_told_as_such(insurer):
    """R08: the recipient learns which fields it may use no more; the rest of its purpose stays open."""
    scope = sorted(data_fields(insurer))
    insurer.platform.clock.advance(timedelta(minutes=1))
    insurer.captured.grant("u-1", "P11", recipient="insurer", fields=scope[1:])
    insurer.run()
    (told,) = insurer.bodies()
    assert (told["type"], told["data"]["fields"]) == ("consent.narrowed", scope[:1])
