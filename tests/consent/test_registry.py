"""The registry: what may be recorded, what is stored of it, and what stands afterwards."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select, update

from consent.gate import Reason
from consent.registry import (
    ActorKind,
    ActorNotEntitled,
    BasisMissing,
    BundledConsent,
    DecidedEarlier,
    DecisionAct,
    InvalidEvidence,
    NothingToClose,
    NoticeNotCurrent,
    NoticeRef,
    NotWithdrawable,
    PurposeInactive,
    Registry,
    Track,
)
from consent.standing import Standing, get_standing, set_standing
from consent.tables import consent_current, decision
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import DecisionId, SubjectId, new_id
from tests.consent.conftest import PlainSealer

CLOSING = [DecisionAct.REFUSE, DecisionAct.WITHDRAW]


def stored(office):
    with office.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(decision))


def test_grant_is_stored_with_the_exact_notice(either_office):
    """A decision holds version, hash and locale of the text, who decided, and its entry (R04)."""
    office = either_office
    subject = office.subject()
    until = office.clock.now() + timedelta(days=365)
    made = office.grant(subject, "P07", valid_until=until, fields=frozenset({"sex", "reading"}))
    with office.database.read() as connection:
        assert office.registry.get(connection, made.decision_id) == made
        assert office.registry.history(connection, subject) == [made]
        assert office.registry.current(connection, subject) == [made]
        evidence = connection.scalar(select(decision.c.evidence))
    assert (made.track, made.act, made.actor_kind) == (Track.CONSENT, DecisionAct.GRANT, ActorKind.SELF)
    assert made.notice == NoticeRef("care", "1", "en")
    assert len(made.notice_hash) == 64
    assert (made.valid_until, made.recorded_at) == (until, office.clock.now())
    assert json.loads(evidence) == {"context": made.decision_id, "details": {"mechanism": "checkbox"}}


def test_entry_holds_what_the_gate_reads(office):
    """The log can be compared with the store: act, purpose, recipient, scope, time, notice, validity."""
    subject = office.subject()
    until = office.clock.now() + timedelta(days=1)
    made = office.grant(subject, "P11", recipient="insurer_a", valid_until=until, fields=frozenset({"reading"}))
    entry = office.entries()[-1]
    assert (entry["id"], entry["act"], entry["outcome"]) == (made.entry_id, "consent.granted", "done")
    assert (entry["purpose"], entry["recipient"], entry["fields"]) == ("P11", "insurer_a", ["reading"])
    assert entry["refs"] == {
        "act": "grant",
        "actor_kind": "self",
        "decided_at": "2026-11-21T02:00:01.000000Z",
        "decision": made.decision_id,
        "notice": "care/1/en",
        "notice_hash": made.notice_hash,
        "recorded_at": "2026-11-21T02:00:01.000000Z",
        "valid_until": "2026-11-22T02:00:00.000000Z",
    }
    assert "checkbox" not in str(entry)


@pytest.mark.parametrize(
    ("act", "purpose", "logged"),
    [
        (DecisionAct.REFUSE, "P07", "consent.refused"),
        (DecisionAct.WITHDRAW, "P07", "consent.withdrawn"),
        (DecisionAct.CONTRACT, "P02", "basis.recorded"),
        (DecisionAct.DUTY, "P05", "basis.recorded"),
        (DecisionAct.DUTY, "P15", "basis.recorded"),
    ],
)
def test_every_act_has_its_entry(office, act, purpose, logged):
    """Each decision leaves one entry of its own kind."""
    office.record(office.subject(), act, purpose)
    assert office.entries()[-1]["act"] == logged


def test_plain_purposes_may_share_an_act(office):
    """Purposes that need no separate consent can be granted together, one decision each."""
    made = office.record(office.subject(), DecisionAct.GRANT, "P08", "P09")
    assert [item.purpose for item in made] == ["P08", "P09"]
    assert len({item.entry_id for item in made}) == 2


@pytest.mark.parametrize("purposes", [("P06", "P07"), ("P08", "P07"), ("P08", "P11")])
def test_bundled_consent_is_refused(office, purposes):
    """A sensitive or separate purpose stands alone in its act (R07)."""
    with pytest.raises(BundledConsent):
        office.record(office.subject(), DecisionAct.GRANT, *purposes, recipient="insurer_a")
    assert stored(office) == 0


def test_sensitive_purposes_may_be_withdrawn_together(office):
    """Withdrawing takes no more steps than granting (R14)."""
    subject = office.subject()
    office.grant(subject, "P06")
    office.grant(subject, "P07")
    assert len(office.withdraw(subject, "P06", "P07")) == 2
    assert office.reason(subject, "P06", "reading") is Reason.WITHDRAWN


@pytest.mark.parametrize("mechanism", ["preticked", "Pre-Ticked", "implied", "silence", "SCROLL", "", None, 7])
def test_evidence_that_shows_no_act_is_invalid(office, mechanism):
    """Silence, scrolling and ticks that were there before are no consent (R19)."""
    with pytest.raises(InvalidEvidence):
        office.grant(office.subject(), "P07", evidence={"mechanism": mechanism})
    assert stored(office) == 0


def test_evidence_without_mechanism_is_invalid_for_a_grant_only(office):
    """A grant must say how it was made; a withdrawal never fails for a form."""
    subject = office.subject()
    with pytest.raises(InvalidEvidence):
        office.grant(subject, "P07", evidence={})
    assert office.withdraw(subject, "P07", evidence={})


def test_withdrawal_of_what_was_never_granted_is_recorded(office):
    """Who withdraws in advance has withdrawn."""
    subject = office.subject()
    office.withdraw(subject, "P07")
    assert office.reason(subject, "P07", "sex") is Reason.WITHDRAWN


@pytest.mark.parametrize("act", CLOSING)
def test_duty_cannot_be_withdrawn(office, act):
    """What rests on law alone is not open to the person's no, and the answer says so."""
    subject = office.subject()
    office.record(subject, DecisionAct.DUTY, "P05")
    with pytest.raises(NotWithdrawable, match="P05"):
        office.record(subject, act, "P05")
    assert office.reason(subject, "P05", "diagnosis") is None


def test_consent_inside_a_contract_can_be_withdrawn(office):
    """The photo's separate consent ends, the account's contract stays."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P01")
    office.grant(subject, "P01")
    office.withdraw(subject, "P01")
    assert office.reason(subject, "P01", "id_photo") is Reason.WITHDRAWN
    assert office.reason(subject, "P01", "mobile") is None


def test_grant_needs_the_notice_that_was_shown(office):
    """No notice, one that does not cover, one that is unknown, one that was replaced: each is refused."""
    subject = office.subject()
    with pytest.raises(BadInput, match="needs the notice"):
        office.grant(subject, "P07", notice=None)
    with pytest.raises(NotFound, match="care/9/en"):
        office.grant(subject, "P07", notice=NoticeRef("care", "9", "en"))
    narrow = office.publish(code="shop", purposes=("P09",), third_parties=())
    with pytest.raises(BadInput, match="does not cover P07"):
        office.grant(subject, "P07", notice=narrow)
    office.publish(version="2", title="Care again")
    with pytest.raises(NoticeNotCurrent, match="care/1/en"):
        office.grant(subject, "P07")
    assert office.record(subject, DecisionAct.REFUSE, "P07", notice=NoticeRef("care", "1", "en"))


def test_purpose_without_assessment_cannot_be_granted(office):
    """An inactive purpose takes no grant (R35)."""
    with pytest.raises(PurposeInactive, match="P10"):
        office.grant(office.subject(), "P10")


@pytest.mark.parametrize(
    ("act", "purpose"), [(DecisionAct.CONTRACT, "P07"), (DecisionAct.DUTY, "P09"), (DecisionAct.CONTRACT, "P05")]
)
def test_contract_cannot_carry_what_rests_on_consent(office, act, purpose):
    """An operator cannot write a basis for marketing into being."""
    with pytest.raises(BasisMissing, match=purpose):
        office.record(office.subject(), act, purpose, actor_kind=ActorKind.OPERATOR)


@pytest.mark.parametrize("act", [DecisionAct.GRANT, *CLOSING])
def test_operator_decides_nothing_for_the_person(office, act):
    """An operator records contracts and duties only."""
    with pytest.raises(ActorNotEntitled):
        office.record(office.subject(), act, "P07", actor_kind=ActorKind.OPERATOR)


def test_actor_must_fit_its_kind(office):
    """SELF is the subject; guardians and agents are named."""
    subject, other = office.subject(), office.subject()
    with pytest.raises(ActorNotEntitled, match=other):
        office.grant(subject, "P07", actor_subject=other)
    with pytest.raises(BadInput, match="not named"):
        office.grant(subject, "P07", actor_kind=ActorKind.AGENT)
    assert office.grant(subject, "P07", actor_subject=subject)


@pytest.mark.parametrize(
    ("purposes", "changes", "message"),
    [
        ((), {}, "each of its purposes once"),
        (("P07", "P07"), {}, "each of its purposes once"),
        (("P99",), {}, "P99"),
        (("P11",), {}, "recipient's name is needed"),
        (("P11",), {"recipient": " "}, "1 to 128"),
        (("P11",), {"recipient": "x" * 129}, "1 to 128"),
        (("P07",), {"fields": frozenset()}, "decides nothing"),
        (("P07",), {"fields": frozenset({"sex", "name"})}, "1 of the named fields"),
    ],
)
def test_malformed_grant_is_refused(office, purposes, changes, message):
    """Each mistake is named."""
    with pytest.raises(BadInput, match=message):
        office.grant(office.subject(), *purposes, **changes)


def test_times_that_cannot_be_are_refused(office):
    """A decision lies at most five minutes ahead, ends after it begins, and has a time zone."""
    subject, now = office.subject(), office.clock.now()
    with pytest.raises(BadInput, match="future"):
        office.grant(subject, "P07", decided_at=now + timedelta(minutes=5, seconds=2))
    with pytest.raises(BadInput, match="before it begins"):
        office.grant(subject, "P07", valid_until=now)
    with pytest.raises(BadInput, match="time zone"):
        office.grant(subject, "P07", decided_at=datetime(2026, 11, 20))  # noqa: DTZ001 - the mistake under test
    assert office.grant(subject, "P07", decided_at=office.clock.now() + timedelta(minutes=5))


@pytest.mark.parametrize("act", CLOSING)
def test_closing_takes_neither_end_nor_fields(office, act):
    """To narrow or to end, the person grants what remains."""
    subject = office.subject()
    with pytest.raises(BadInput, match="no period"):
        office.record(subject, act, "P07", valid_until=office.clock.now() + timedelta(days=1))
    with pytest.raises(BadInput, match="whole purpose"):
        office.record(subject, act, "P07", fields=frozenset({"sex"}))


def test_replayed_grant_undoes_no_withdrawal(office):
    """An old grant that arrives again, or late, is refused; a new one counts."""
    subject = office.subject()
    granted = office.grant(subject, "P07")
    office.withdraw(subject, "P07")
    with pytest.raises(DecidedEarlier, match="P07"):
        office.grant(subject, "P07", decided_at=granted.decided_at)
    assert office.reason(subject, "P07", "sex") is Reason.WITHDRAWN
    office.grant(subject, "P07")
    assert office.reason(subject, "P07", "sex") is None


def test_withdrawal_with_a_slow_clock_counts(office):
    """What closes takes effect whatever its device's clock says, and the grant before it stays closed."""
    subject = office.subject()
    granted = office.grant(subject, "P07", decided_at=office.clock.now() + timedelta(minutes=4))
    office.withdraw(subject, "P07", decided_at=granted.decided_at - timedelta(minutes=3))
    assert office.reason(subject, "P07", "sex") is Reason.WITHDRAWN
    with pytest.raises(DecidedEarlier):
        office.grant(subject, "P07", decided_at=granted.decided_at)


@pytest.mark.parametrize("recipient", [None, "lab"])
def test_grant_of_a_fast_clock_undoes_no_withdrawal(office, recipient):
    """A grant from before, dated up to five minutes ahead, comes after the withdrawal: it opens nothing."""
    subject = office.subject()
    purpose = "P12"
    office.withdraw(subject, purpose)
    ahead = {"recipient": recipient, "evidence": {"mechanism": "switch"}}
    for minutes in (1, 4):
        with pytest.raises(DecidedEarlier, match=purpose):
            office.grant(subject, purpose, decided_at=office.clock.now() + timedelta(minutes=minutes), **ahead)
    assert office.grant(subject, purpose, **ahead)


def test_fast_clock_opens_what_was_closed_long_enough_ago(office):
    """A clock runs ahead by five minutes at most: what is dated later than that after the closing was made after it."""
    subject = office.subject()
    (closed,) = office.withdraw(subject, "P08")
    office.clock.advance(timedelta(minutes=4))
    for seconds, opens in ((300, False), (301, True)):
        request = office.request(
            subject, DecisionAct.GRANT, "P08", decided_at=closed.recorded_at + timedelta(seconds=seconds)
        )
        with office.database.write() as connection:
            (said,) = office.registry.record_many(connection, [request], asking=office.asking)
        assert isinstance(said, tuple) is opens


def test_ended_contract_is_not_opened_by_a_fast_clock(office):
    """The rule is that of every track."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR)
    office.record(subject, DecisionAct.END, "P02", actor_kind=ActorKind.OPERATOR)
    ahead = office.clock.now() + timedelta(minutes=4)
    with pytest.raises(DecidedEarlier):
        office.record(subject, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR, decided_at=ahead)


def test_older_grant_does_not_replace_a_newer(office):
    """A wider grant from before does not widen the one that stands."""
    subject = office.subject()
    narrow = office.grant(subject, "P07", fields=frozenset({"sex"}))
    with pytest.raises(DecidedEarlier):
        office.grant(subject, "P07", decided_at=narrow.decided_at - timedelta(days=1))
    assert office.reason(subject, "P07", "reading") is Reason.SCOPE


def test_late_grant_to_a_recipient_does_not_pass_a_general_withdrawal(office):
    """A grant to a recipient from before the general withdrawal opens nothing; one from after it does."""
    subject = office.subject()
    before = office.clock.now()
    office.withdraw(subject, "P11")
    with pytest.raises(DecidedEarlier):
        office.grant(subject, "P11", recipient="insurer_a", decided_at=before)
    office.grant(subject, "P11", recipient="insurer_a")
    assert office.reason(subject, "P11", "reading", "insurer_a") is None


def test_recipients_keep_their_own_order(office):
    """A grant to one recipient may be older than the grant to another."""
    subject = office.subject()
    first = office.grant(subject, "P11", recipient="insurer_a")
    assert office.grant(subject, "P11", recipient="insurer_b", decided_at=first.decided_at - timedelta(days=1))


def test_grant_to_a_recipient_may_be_older_than_the_general_one(office):
    """Another's opening says nothing against it; both stand."""
    subject = office.subject()
    general = office.grant(subject, "P12")
    assert office.grant(subject, "P12", recipient="lab", decided_at=general.decided_at - timedelta(days=1))


@pytest.mark.parametrize("changes", [{"max_uses": 1}, {"fields": frozenset({"sex"})}])
def test_closing_bounds_nothing(office, changes):
    """A number of uses, or fields, belong to what opens."""
    with pytest.raises(BadInput, match="whole purpose"):
        office.withdraw(office.subject(), "P07", **changes)


def test_who_stands_in_for_itself_is_not_named(office):
    """A guardian is somebody else."""
    subject = office.subject()
    with pytest.raises(BadInput, match="not named"):
        office.withdraw(subject, "P07", actor_kind=ActorKind.GUARDIAN, actor_subject=subject)


def test_recipient_without_a_name_is_refused(office):
    """An empty name would be the general decision under another word."""
    with pytest.raises(BadInput, match="1 to 128"):
        office.grant(office.subject(), "P12", recipient="")


def test_evidence_may_tell_its_language_without_a_notice(office):
    """A contract rests on no notice whose language could differ."""
    evidence = {"mechanism": "checkbox", "locale": "zh-CN"}
    subject = office.subject()
    assert office.record(subject, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR, evidence=evidence)


@pytest.mark.parametrize("fact", ["sensitive", "separate_consent"])
def test_either_fact_keeps_a_purpose_apart(office, fact):
    """R07: a sensitive purpose, and one with a consent of its own, each stands alone."""
    known = office.catalogue.purposes
    alone = dataclasses.replace(known["P08"], **{fact: True})
    catalogue = dataclasses.replace(office.catalogue, purposes={**known, "P08": alone})
    registry = Registry(catalogue, office.journal, PlainSealer(), office.clock)
    request = office.request(office.subject(), DecisionAct.GRANT, "P08", "P09")
    with office.database.write() as connection, pytest.raises(BundledConsent, match="P08"):
        registry.record(connection, request, asking=office.asking)


def test_unregistered_subject_cannot_decide(office):
    """A decision needs somebody whose it is."""
    with pytest.raises(NotFound, match="not registered"):
        office.grant(SubjectId(new_id("sub")), "P07")


def test_restricted_decides_and_erased_does_not(office):
    """A restricted subject can still withdraw; from the erasure on nothing is recorded."""
    subject = office.subject()
    office.grant(subject, "P07")
    for state in (Standing.RESTRICTED, Standing.ERASING):
        with office.database.write() as connection:
            set_standing(connection, subject, state, now=office.clock.now())
        if state is Standing.RESTRICTED:
            office.withdraw(subject, "P07")
    with pytest.raises(Conflict, match="erasing"):
        office.withdraw(subject, "P07")


def test_every_batch_moves_the_revision_once(either_office):
    """The revision row moves with the decisions of a transaction."""
    office = either_office
    subject = office.subject()
    office.record(subject, DecisionAct.GRANT, "P08", "P09")
    with office.database.read() as connection:
        assert get_standing(connection, subject).revision == 2


def test_batch_records_what_is_valid_and_names_the_rest(either_office):
    """In a batch a refused act leaves nothing and stops nobody; later acts see earlier ones."""
    office = either_office
    first, second = office.subject(), office.subject()
    requests = [
        office.request(first, DecisionAct.GRANT, "P07"),
        office.request(second, DecisionAct.GRANT, "P06", "P07"),
        office.request(first, DecisionAct.WITHDRAW, "P07"),
        office.request(first, DecisionAct.GRANT, "P07", decided_at=office.clock.now() - timedelta(hours=1)),
        office.request(second, DecisionAct.CONTRACT, "P02"),
    ]
    with office.database.write() as connection:
        outcomes = office.registry.record_many(connection, requests, asking=office.asking)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [tuple, BundledConsent, tuple, DecidedEarlier, tuple]
    assert [outcome[0].purpose for outcome in outcomes if isinstance(outcome, tuple)] == ["P07", "P07", "P02"]
    assert stored(office) == 3
    assert office.reason(first, "P07", "sex") is Reason.WITHDRAWN
    assert office.reason(second, "P02", "name") is None


def test_empty_batch_is_nothing(office):
    """No acts leave no trace."""
    before = len(office.entries())
    with office.database.write() as connection:
        assert office.registry.record_many(connection, [], asking=office.asking) == []
    assert len(office.entries()) == before


def test_history_keeps_what_current_replaced(either_office):
    """Nothing is rewritten: history holds every act in order, current the last of each track."""
    office = either_office
    subject = office.subject()
    contract = office.record(subject, DecisionAct.CONTRACT, "P02")[0]
    granted = office.grant(subject, "P02")
    (withdrawn,) = office.withdraw(subject, "P02")
    with office.database.read() as connection:
        assert office.registry.history(connection, subject) == [contract, granted, withdrawn]
        assert office.registry.current(connection, subject) == [contract, withdrawn]


def test_unknown_decision_is_not_found(office):
    """An id that names nothing says so."""
    with office.database.read() as connection, pytest.raises(NotFound, match="dec_none"):
        office.registry.get(connection, DecisionId("dec_none"))


def test_evidence_does_not_show_in_reprs(office):
    """A request in a log line shows no evidence."""
    request = office.request(
        office.subject(), DecisionAct.GRANT, "P07", evidence={"mechanism": "m", "ip": "203.0.113.9"}
    )
    assert "203.0.113.9" not in repr(request)


def test_callers_words_are_sealed_beside_the_entry(office):
    """A stated reason is kept for the officer and stands in no entry."""
    asking = dataclasses.replace(office.asking, reason="asked on the phone")
    request = office.request(office.subject(), DecisionAct.GRANT, "P07")
    with office.database.write() as connection:
        office.registry.record(connection, request, asking=asking)
    assert "phone" not in str(office.entries())


def test_period_uses_and_offset_are_stored_and_logged(either_office):
    """A decision holds its period, its uses and how its source wrote the time; the entry holds them too (R04)."""
    office = either_office
    subject = office.subject()
    begins = office.clock.now() + timedelta(days=1)
    local = (office.clock.now()).astimezone(timezone(timedelta(hours=8)))
    made = office.grant(
        subject, "P08", decided_at=local, valid_from=begins, valid_until=begins + timedelta(days=1), max_uses=3
    )
    assert (made.decided_at, made.decided_at.utcoffset(), made.offset_minutes) == (local, timedelta(0), 480)
    assert (made.valid_from, made.max_uses) == (begins, 3)
    with office.database.read() as connection:
        assert office.registry.get(connection, made.decision_id) == made
        row = connection.execute(select(consent_current)).one()
    assert (row.valid_from, row.max_uses, row.uses, row.decided_by) == (begins, 3, 0, None)
    refs = office.entries()[-1]["refs"]
    assert (refs["valid_from"], refs["max_uses"], refs["offset"]) == ("2026-11-22T02:00:00.000000Z", "3", "480")


def test_new_opening_counts_its_uses_anew(office):
    """A renewal begins with no use taken."""
    subject = office.subject()
    office.grant(subject, "P08", max_uses=2)
    with office.database.write() as connection:
        connection.execute(update(consent_current).values(uses=2))
    office.record(subject, DecisionAct.RENEW, "P08", max_uses=1)
    with office.database.read() as connection:
        row = connection.execute(select(consent_current)).one()
    assert (row.uses, row.max_uses) == (0, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_uses": 0}, "1 to"),
        ({"max_uses": True}, "1 to"),
        ({"max_uses": 2**31}, "1 to"),
        ({"valid_from": datetime(2026, 11, 1, tzinfo=UTC)}, "before it was made"),
        (
            {
                "valid_from": datetime(2026, 12, 2, tzinfo=UTC),
                "valid_until": datetime(2026, 12, 2, tzinfo=UTC),
            },
            "before it begins",
        ),
    ],
)
def test_period_and_uses_that_cannot_be_are_refused(office, changes, message):
    """A decision counts from its making at the earliest, for a while and at least once."""
    with pytest.raises(BadInput, match=message):
        office.grant(office.subject(), "P08", **changes)


@pytest.mark.parametrize(
    "evidence",
    [
        {"occasion": "whenever"},
        {"shown": "some of it"},
        {"shown": 7},
        {"locale": "zh-CN"},
    ],
)
def test_evidence_that_contradicts_is_invalid(office, evidence):
    """Known keys mean one thing; the language of the act is the language of the notice (R04)."""
    with pytest.raises(InvalidEvidence):
        office.grant(office.subject(), "P08", evidence={"mechanism": "checkbox"} | evidence)


def test_evidence_is_kept_and_read_back(office):
    """What was shown, the act, channel, locale, times and session are sealed and can be opened again (R04)."""
    evidence = {"mechanism": "checkbox", "shown": "ab" * 32, "locale": "en", "channel": "app", "anything": [1, "x"]}
    made = office.grant(office.subject(), "P08", evidence=evidence)
    with office.database.read() as connection:
        assert office.registry.read_evidence(connection, made.decision_id) == evidence
        with pytest.raises(NotFound, match="dec_none"):
            office.registry.read_evidence(connection, DecisionId("dec_none"))


def test_renewal_follows_what_stands(either_office):
    """A renewal names what it follows, takes over its fields and needs the current notice (R06)."""
    office = either_office
    subject = office.subject()
    granted = office.grant(subject, "P07", fields=frozenset({"sex"}))
    changed = office.publish(version="2", collected=({"field": "other", "why": "more"},))
    with pytest.raises(NoticeNotCurrent):
        office.record(subject, DecisionAct.RENEW, "P07")
    (renewed,) = office.record(subject, DecisionAct.RENEW, "P07", notice=changed)
    assert (renewed.renews, renewed.fields, renewed.notice) == (granted.decision_id, granted.fields, changed)
    (wider,) = office.record(subject, DecisionAct.RENEW, "P07", notice=changed, fields=frozenset({"sex", "reading"}))
    assert wider.renews == renewed.decision_id
    entry = office.entries()[-1]
    assert (entry["act"], entry["refs"]["renews"]) == ("consent.renewed", renewed.decision_id)
    with office.database.read() as connection:
        assert office.registry.history(connection, subject) == [granted, renewed, wider]


@pytest.mark.parametrize("act", [None, *CLOSING])
def test_nothing_is_renewed_after_a_no(office, act):
    """Who never said yes, or said no since, is asked anew."""
    subject = office.subject()
    if act is not None:
        office.grant(subject, "P08")
        office.record(subject, act, "P08")
    with pytest.raises(BadInput, match="nothing to renew"):
        office.record(subject, DecisionAct.RENEW, "P08", evidence={"mechanism": "m", "occasion": "own"})


def test_expired_grant_is_renewed_without_a_new_one(office):
    """Time ends a grant without the person's no, so that a renewal is enough; its fields are remembered."""
    subject = office.subject()
    until = office.clock.now() + timedelta(hours=1)
    office.grant(subject, "P07", valid_until=until, fields=frozenset({"sex"}))
    by_operator = {"actor_kind": ActorKind.OPERATOR}
    with pytest.raises(NothingToClose):
        office.record(subject, DecisionAct.EXPIRE, "P07", **by_operator)
    office.clock.advance(timedelta(hours=1))
    (expired,) = office.record(subject, DecisionAct.EXPIRE, "P07", **by_operator)
    assert office.entries()[-1]["act"] == "consent.expired"
    assert office.reason(subject, "P07", "sex") is Reason.EXPIRED
    with pytest.raises(DecidedEarlier):
        office.grant(subject, "P07", decided_at=until)
    (renewed,) = office.record(subject, DecisionAct.RENEW, "P07")
    assert (renewed.renews, renewed.fields) == (expired.decision_id, frozenset({"sex"}))


def test_contract_ends_and_begins_anew(either_office):
    """The operator ends a contract; what is not there cannot end, and a new one may follow."""
    office = either_office
    subject = office.subject()
    by_operator = {"actor_kind": ActorKind.OPERATOR}
    with pytest.raises(NothingToClose):
        office.record(subject, DecisionAct.END, "P02", **by_operator)
    office.record(subject, DecisionAct.CONTRACT, "P02")
    with pytest.raises(NothingToClose):
        office.record(subject, DecisionAct.END, "P02", recipient="lab", **by_operator)
    (ended,) = office.record(subject, DecisionAct.END, "P02", **by_operator)
    assert (ended.track, office.entries()[-1]["act"]) == (Track.BASIS, "basis.ended")
    assert office.reason(subject, "P02", "name") is Reason.EXPIRED
    office.record(subject, DecisionAct.CONTRACT, "P02")
    assert office.reason(subject, "P02", "name") is None


@pytest.mark.parametrize("act", [DecisionAct.EXPIRE, DecisionAct.END])
def test_ending_by_time_is_the_operators(office, act):
    """A person refuses or withdraws; that time is over is the operator's to record."""
    with pytest.raises(ActorNotEntitled, match="operator"):
        office.record(office.subject(), act, "P02")


def test_what_stood_then_can_be_shown(either_office):
    """For any instant the register tells what it knew by then; nothing of the past is rewritten (R15)."""
    office = either_office
    subject = office.subject()
    granted = office.grant(subject, "P08")
    then = office.clock.now()
    (withdrawn,) = office.withdraw(subject, "P08")
    with office.database.read() as connection:
        before = then - timedelta(seconds=1)
        assert office.registry.current(connection, subject, as_of=before) == []
        assert office.registry.current(connection, subject, as_of=then) == [granted]
        assert office.registry.history(connection, subject, as_of=then) == [granted]
        assert office.registry.current(connection, subject, as_of=office.clock.now()) == [withdrawn]
        assert office.registry.current(connection, subject) == [withdrawn]
