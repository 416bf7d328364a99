"""The register's snapshot: assessments and recipients at an instant, its revision, its lock and its suspension."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete

from consent.assessments import record_assessment, revoke_assessment
from consent.reasons import Reason
from consent.recipients import end_recipient
from consent.register_facts import RecipientRule
from consent.tables import register_head
from consent.terms import lock_terms, move_head, read_terms, release, suspend
from kernel.catalogue import TransferMechanism
from kernel.errors import BadInput, Unavailable
from tests.consent.conftest import ASKING, assessment_text

DAY = timedelta(days=1)


@pytest.fixture
def record(either_office):
    """Records a version of the small catalogue's assessment."""

    def recorded(**changes):
        with either_office.database.write() as connection:
            text = assessment_text(**changes)
            return record_assessment(
                connection, text, either_office.catalogue, asking=ASKING, log=either_office.journal
            )

    return recorded


@pytest.fixture
def recipient(either_office):
    """Records a version of a recipient."""

    def recorded(code, **changes):
        with either_office.database.write() as connection:
            return either_office.recipient_in(connection, code, **changes)

    return recorded


def terms_of(office, purpose, recipient=None, at=None):
    with office.database.read() as connection:
        terms = read_terms(connection, None)
    asked = office.catalogue.purposes[purpose]
    return terms.for_purpose(asked, recipient, at or office.clock.now(), by_then=at is not None)


def rule_of(office, purpose, recipient, at=None):
    told = terms_of(office, purpose, recipient, at)
    assert (told.recipient_reason is None) == (told.recipient_rule == RecipientRule.REGISTERED)
    assert told.recipient_reason in (None, Reason.RECIPIENT)
    return told.recipient_rule


def test_purpose_is_active_while_its_assessment_stands(either_office, record):
    """The one that the pack names, approved and not expired, and naming the purpose (R35)."""
    assert terms_of(either_office, "P07").assessment == "PIA-1/1"
    expiry = either_office.catalogue.begin_of(date(2029, 10, 1))
    assert terms_of(either_office, "P07", at=expiry - DAY).is_active is True
    assert terms_of(either_office, "P07", at=expiry).is_active is False
    record(purposes=("P06",))
    told = terms_of(either_office, "P07")
    assert (told.is_active, told.assessment) == (False, None)


def test_purpose_whose_assessment_nobody_named_is_inactive(either_office):
    """P10 needs one, and the pack names none (R35)."""
    assert terms_of(either_office, "P10").is_active is False
    assert terms_of(either_office, "P08").is_active is True


def test_revoked_assessment_closes_its_purpose_at_once_and_the_past_stands(either_office):
    """With the commit of the revocation; what was decided before was decided rightly (R35)."""
    before = either_office.clock.now()
    either_office.clock.advance(DAY)
    with either_office.database.write() as connection:
        revoke_assessment(connection, "PIA-1", asking=ASKING, log=either_office.journal)
    assert terms_of(either_office, "P07").is_active is False
    assert terms_of(either_office, "P07", at=before).is_active is True


def test_clock_set_back_revives_no_revoked_assessment(either_office):
    """Whoever decides by the log's time sees what was recorded before (R35)."""
    either_office.clock.advance(DAY)
    with either_office.database.write() as connection:
        revoke_assessment(connection, "PIA-1", asking=ASKING, log=either_office.journal)
    either_office.clock.advance(-2 * DAY)
    with either_office.database.read() as connection:
        at = either_office.journal.now(connection)
    assert terms_of(either_office, "P07", at=at).is_active is False


def test_nobody_unregistered_receives_anything(either_office):
    """Without an entry there is no recipient, whatever was granted (R08)."""
    assert rule_of(either_office, "P11", "stranger") is RecipientRule.NOT_REGISTERED
    assert rule_of(either_office, "P11", "insurer_a") is RecipientRule.REGISTERED
    told = terms_of(either_office, "P11")
    assert (told.recipient_rule, told.recipient_reason) == (RecipientRule.NONE, None)


def test_contract_bounds_time_purpose_and_fields(either_office, recipient):
    """A processor gets what its contract says, from its first day until its last (R38)."""
    term = {"term_from": date(2026, 12, 1), "term_until": date(2027, 1, 1)}
    recipient("press", kind="processor", fields=frozenset({"diagnosis"}), **term)
    begin, end = (either_office.catalogue.begin_of(day) for day in term.values())
    second = timedelta(seconds=1)
    assert rule_of(either_office, "P11", "press") is RecipientRule.TERM
    assert rule_of(either_office, "P11", "press", begin - second) is RecipientRule.TERM
    assert rule_of(either_office, "P11", "press", begin) is RecipientRule.REGISTERED
    assert rule_of(either_office, "P11", "press", end - second) is RecipientRule.REGISTERED
    assert rule_of(either_office, "P11", "press", end) is RecipientRule.TERM
    assert rule_of(either_office, "P06", "press", begin) is RecipientRule.PURPOSE
    assert terms_of(either_office, "P11", "press", begin).recipient_fields == {"diagnosis"}
    assert terms_of(either_office, "P11", "lab").recipient_fields is None


def test_overseas_recipient_needs_a_mechanism_that_is_still_valid(either_office, recipient):
    """No document, or one that has run out: nothing goes abroad (R10)."""
    recipient("abroad", country="SG")
    assert rule_of(either_office, "P11", "abroad") is RecipientRule.MECHANISM
    mechanism = TransferMechanism("standard_contract", "SC-2026-7", date(2027, 1, 1))
    recipient("abroad", country="SG", mechanism=mechanism)
    end = either_office.catalogue.begin_of(date(2027, 1, 1))
    assert rule_of(either_office, "P11", "abroad") is RecipientRule.REGISTERED
    assert rule_of(either_office, "P11", "abroad", end) is RecipientRule.MECHANISM
    assert terms_of(either_office, "P11", "abroad").is_overseas is True
    assert terms_of(either_office, "P11", "lab").is_overseas is False


def test_authority_needs_an_approval(either_office, recipient):
    """A foreign authority's request without one is refused, mechanism or not (R12)."""
    mechanism = TransferMechanism("exempt", "treaty", date(2030, 1, 1))
    recipient("court", kind="authority", country="US", mechanism=mechanism)
    assert rule_of(either_office, "P11", "court") is RecipientRule.APPROVAL
    recipient("court", kind="authority", country="US", mechanism=mechanism, approved_by="ministry, 2026-77")
    assert rule_of(either_office, "P11", "court") is RecipientRule.REGISTERED


def test_sub_processor_needs_approval_and_reaches_no_further_than_its_processor(either_office, recipient):
    """Unapproved it gets nothing; approved, what both contracts say; when the processor ends, nothing (R38)."""
    recipient("press", kind="processor", fields=frozenset({"diagnosis", "sex"}))
    recipient("binder", kind="processor", engaged_by="press")
    assert rule_of(either_office, "P11", "binder") is RecipientRule.APPROVAL
    recipient("binder", kind="processor", engaged_by="press", approved_by="office")
    assert terms_of(either_office, "P11", "binder").recipient_fields == {"diagnosis", "sex"}
    recipient(
        "binder", kind="processor", engaged_by="press", approved_by="office", fields=frozenset({"sex", "reading"})
    )
    assert terms_of(either_office, "P11", "binder").recipient_fields == {"sex"}
    with either_office.database.write() as connection:
        end_recipient(connection, "press", certificate="destroyed", asking=ASKING, log=either_office.journal)
    assert rule_of(either_office, "P11", "binder") is RecipientRule.ENDED


def test_ended_recipient_gets_nothing_and_got_it_before(either_office):
    """The relation ends with its commit; the past knows it as it was (R38)."""
    before = either_office.clock.now()
    either_office.clock.advance(DAY)
    with either_office.database.write() as connection:
        end_recipient(connection, "insurer_a", certificate="destroyed", asking=ASKING, log=either_office.journal)
    assert rule_of(either_office, "P11", "insurer_a") is RecipientRule.ENDED
    assert rule_of(either_office, "P11", "insurer_a", before) is RecipientRule.REGISTERED
    assert rule_of(either_office, "P11", "insurer_a", before - DAY) is RecipientRule.NOT_REGISTERED


def test_snapshot_is_kept_until_the_register_moves(either_office, record):
    """Nothing is read again while no revision has passed, and everything after one has."""
    with either_office.database.read() as connection:
        known = read_terms(connection, None)
        assert read_terms(connection, known) is known
    record(approved_by="somebody else")
    with either_office.database.read() as connection:
        now = read_terms(connection, known)
    assert now.revision > known.revision
    purpose = either_office.catalogue.purposes["P07"]
    assert now.for_purpose(purpose, None, either_office.clock.now()).assessment == "PIA-1/2"
    assert known.for_purpose(purpose, None, either_office.clock.now()).assessment == "PIA-1/1"


def test_answer_is_made_once_for_each_interval(either_office):
    """Between two turns the very same answer comes back; after one, another."""
    with either_office.database.read() as connection:
        terms = read_terms(connection, None)
    purpose, now = either_office.catalogue.purposes["P07"], either_office.clock.now()
    first = terms.for_purpose(purpose, None, now)
    assert terms.for_purpose(purpose, None, now + DAY) is first
    assert terms.for_purpose(purpose, None, either_office.catalogue.begin_of(date(2030, 1, 1))) is not first
    strangers = {id(terms.for_purpose(purpose, f"stranger_{number}", now)) for number in range(50)}
    assert len(strangers) == 1


def test_what_is_rolled_back_is_never_taken_for_current(either_office):
    """A snapshot from within a transaction that moved the register does not outlive it."""
    with either_office.database.read() as connection:
        before = read_terms(connection, None)
    text = assessment_text(purposes=("P06",))
    with pytest.raises(RuntimeError, match="rolled back"), either_office.database.write() as connection:
        record_assessment(connection, text, either_office.catalogue, asking=ASKING, log=either_office.journal)
        inside = read_terms(connection, before)
        raise RuntimeError("rolled back")
    purpose, now = either_office.catalogue.purposes["P07"], either_office.clock.now()
    assert inside.for_purpose(purpose, None, now).is_active is False
    with either_office.database.write() as connection:  # the same revision, with another content
        move_head(connection)
    with either_office.database.read() as connection:
        after = read_terms(connection, inside)
    assert after is not inside
    assert after.for_purpose(purpose, None, now).is_active is True


def test_register_without_a_head_is_empty_and_gets_one(either):
    """Tables that were made without rows are read as a register in which nothing was recorded."""
    with either.write() as connection:
        connection.execute(delete(register_head))
    with either.read() as connection:
        terms = read_terms(connection, None)
        assert (terms.revision, terms.suspended) == (0, None)
        assert read_terms(connection, terms) is terms
    with either.write() as connection:
        move_head(connection)
    with either.read() as connection:
        assert read_terms(connection, terms).revision == 2


def test_suspension_is_seen_by_every_snapshot_and_taken_back(either_office):
    """It leaves an entry each way, and none for what is so already."""
    office = either_office
    with office.database.write() as connection:
        lock_terms(connection)
        assert suspend(connection, "PACK_HASH", asking=ASKING, log=office.journal)
        assert suspend(connection, "PACK_HASH", asking=ASKING, log=office.journal) is None
    with office.database.read() as connection:
        terms = read_terms(connection, None)
    with pytest.raises(Unavailable, match="The gate is suspended: PACK_HASH"):
        terms.check_open()
    with office.database.write() as connection:
        assert release(connection, asking=ASKING, log=office.journal)
        assert release(connection, asking=ASKING, log=office.journal) is None
    with office.database.read() as connection:
        read_terms(connection, terms).check_open()
    assert [entry["act"] for entry in office.entries()][-2:] == ["register.suspended", "register.released"]


def test_suspension_without_a_reason_is_refused(office):
    """Whoever is refused is told why."""
    with office.database.write() as connection, pytest.raises(BadInput, match="needs its reason"):
        suspend(connection, " ", asking=ASKING, log=office.journal)


def test_publication_waits_for_those_who_decide(postgres):
    """Whoever moves the register waits for a shared holder, and reads after it (PostgreSQL)."""
    moved = threading.Event()

    def move():
        with postgres.write() as connection:
            move_head(connection)
        moved.set()

    with postgres.write() as connection:
        move_head(connection)
    with postgres.write() as connection:
        lock_terms(connection)
        mover = threading.Thread(target=move)
        mover.start()
        assert not moved.wait(0.3)
    assert moved.wait(10)
    mover.join()


def test_instants_are_those_of_the_pack_s_zone(office):
    """A day of a contract begins at midnight in Shanghai."""
    assert office.catalogue.begin_of(date(2026, 12, 1)) == datetime(2026, 11, 30, 16, tzinfo=UTC)


def test_present_counts_what_is_recorded_whatever_its_instant(either_office):
    """R35, R38: a revocation or an end whose row holds an instant ahead counts now; only a look back leaves it out."""
    office = either_office
    now = office.clock.now()
    office.clock.advance(timedelta(days=30))
    with office.database.write() as connection:
        revoke_assessment(connection, "PIA-1", asking=office.asking, log=office.journal)
        end_recipient(connection, "insurer", certificate="returned", asking=office.asking, log=office.journal)
        terms = read_terms(connection, None)
    purpose = next(one for one in office.catalogue.purposes.values() if one.assessment == "PIA-1")
    present, past = (terms.for_purpose(purpose, "insurer", now, by_then=by_then) for by_then in (False, True))
    assert (present.is_active, present.recipient_rule) == (False, "ended")
    assert past.recipient_rule != "ended"
