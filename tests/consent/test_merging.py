"""Two subjects who are one person: the stricter of both decisions, recorded anew, and nothing rewritten."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.gate import Reason
from consent.guardians import record_guardian
from consent.registry import ActorKind, CoolDown, DecisionAct, GuardiansDisagree, Track
from consent.standing import Standing, get_standing, read_dropped, read_kept, set_deceased, set_standing
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import SubjectId, new_id

ACTS = [DecisionAct.GRANT] * 4 + [DecisionAct.REFUSE, DecisionAct.WITHDRAW, DecisionAct.CONTRACT, DecisionAct.END]
PURPOSES = ["P02", "P08", "P11", "P12"]
RECIPIENTS = [None, "lab", "insurer_a"]
OWN = {"mechanism": "switch", "occasion": "own"}


def merge(office, kept, dropped):
    with office.database.write() as connection:
        return office.registry.merge(connection, kept=kept, dropped=dropped, asking=office.asking)


def history(office, subject):
    with office.database.read() as connection:
        return office.registry.history(connection, subject)


def state(office, subject):
    with office.database.read() as connection:
        return get_standing(connection, subject)


def test_no_of_either_is_a_no(either_office):
    """What the dropped subject had withdrawn is closed for the kept one; the past of both stays as it was (R15)."""
    office = either_office
    kept, dropped = office.subject(), office.subject()
    office.grant(kept, "P08")
    office.grant(dropped, "P08")
    office.withdraw(dropped, "P08")
    before = history(office, kept), history(office, dropped)
    (made,) = merge(office, kept, dropped)
    assert (made.subject, made.act, made.purpose) == (kept, DecisionAct.WITHDRAW, "P08")
    assert office.reason(kept, "P08", "topic") is Reason.WITHDRAWN
    assert history(office, kept) == [*before[0], made]
    assert history(office, dropped) == before[1]
    with office.database.read() as connection:
        evidence = office.registry.read_evidence(connection, made.decision_id)
    assert evidence == {"mechanism": "merge", "merged_from": before[1][-1].decision_id}
    assert state(office, dropped).state is Standing.RESTRICTED
    assert (office.entries()[-1]["act"], office.entries()[-1]["reason"]) == ("subject.restricted", "MERGED")


def test_two_openings_leave_what_both_allow(either_office):
    """Fields are cut to the common ones, the period to the common time, uses to the fewer."""
    office = either_office
    kept, dropped = office.subject(), office.subject()
    now = office.clock.now()
    office.grant(kept, "P07", fields=frozenset({"sex", "reading"}), valid_until=now + timedelta(days=9), max_uses=5)
    office.grant(dropped, "P07", fields=frozenset({"sex", "topic"}), valid_until=now + timedelta(days=3))
    (made,) = merge(office, kept, dropped)
    assert (made.act, made.fields, made.valid_until, made.max_uses) == (
        DecisionAct.GRANT,
        {"sex"},
        now + timedelta(days=3),
        5,
    )
    assert office.reason(kept, "P07", "sex") is None
    assert office.reason(kept, "P07", "reading") is Reason.SCOPE


def test_older_notice_of_both_counts(office):
    """A grant under the earlier edition covers no more than it did (R06)."""
    kept, dropped = office.subject(), office.subject()
    office.grant(dropped, "P08")
    changed = office.publish(version="2", sections=dict.fromkeys(SECTIONS_OF_CARE, "Other words."))
    office.grant(kept, "P08", notice=changed)
    merge(office, kept, dropped)
    assert office.reason(kept, "P08", "topic") is Reason.RECONSENT


SECTIONS_OF_CARE = (
    "controller", "contact", "purpose", "method", "categories", "retention", "end_of_retention", "rights",
)  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"fields": frozenset({"sex"})}, {"fields": frozenset({"reading"})}),
        ({}, {"valid_until": timedelta(hours=1)}),
    ],
    ids=["no common field", "one is over"],
)
def test_openings_that_cannot_be_combined_expire(office, ours, theirs):
    """Where nothing common is left the person is asked anew."""
    kept, dropped = office.subject(), office.subject()
    ends = {name: office.clock.now() + value for name, value in theirs.items() if name == "valid_until"}
    office.grant(kept, "P07", **ours)
    office.grant(dropped, "P07", **(theirs | ends))
    office.clock.advance(timedelta(hours=2))
    (made,) = merge(office, kept, dropped)
    assert (made.act, made.actor_kind) == (DecisionAct.EXPIRE, ActorKind.OPERATOR)
    assert office.reason(kept, "P07", "sex") is Reason.EXPIRED


def test_what_one_has_alone_stays_where_it_is(office):
    """A yes of the dropped subject opens nothing for the kept one, and takes nothing from it."""
    kept, dropped = office.subject(), office.subject()
    office.record(kept, DecisionAct.CONTRACT, "P02")
    office.grant(dropped, "P08")
    assert merge(office, kept, dropped) == ()
    assert office.reason(kept, "P02", "name") is None
    assert office.reason(kept, "P08", "topic") is Reason.NO_DECISION
    assert office.reason(dropped, "P08", "topic") is Reason.RESTRICTED


def test_stricter_standing_goes_over(office):
    """The kept one is a minor for as long as either, and restricted where either was (R16, R21)."""
    kept, dropped = office.subject(), office.subject(date(2014, 5, 20))
    with office.database.write() as connection:
        set_standing(connection, dropped, Standing.RESTRICTED, now=office.clock.now())
    merge(office, kept, dropped)
    found = state(office, kept)
    assert (found.state, found.majority_on) == (Standing.RESTRICTED, date(2032, 6, 1))


def test_merge_that_makes_no_sense_is_refused(office):
    """Oneself, somebody unknown, somebody erased, and the dead with the living."""
    kept, gone, dead = office.subject(), office.subject(), office.subject()
    with office.database.write() as connection:
        set_standing(connection, gone, Standing.ERASING, now=office.clock.now())
        set_deceased(connection, dead, no_kin=False, now=office.clock.now())
    for other, error in ((kept, BadInput), (SubjectId(new_id("sub")), NotFound), (gone, Conflict), (dead, Conflict)):
        with pytest.raises(error):
            merge(office, kept, other)


histories = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(ACTS),
        st.sampled_from(PURPOSES),
        st.sampled_from(RECIPIENTS),
        st.booleans(),
        st.sampled_from([None, 1, 48]),
        st.sampled_from([0, 0, 2]),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def shared(offices, tmp_path_factory):
    """One store for all histories; each brings its own subjects."""
    return offices(f"sqlite:///{tmp_path_factory.mktemp('merging') / 'data.db'}")


def play(office, subject, act, purpose, recipient, *, narrow, hours):
    opens = act in (DecisionAct.GRANT, DecisionAct.CONTRACT)
    changes = {
        "recipient": recipient,
        "evidence": OWN,
        "actor_kind": ActorKind.OPERATOR if act is DecisionAct.END else ActorKind.SELF,
        "fields": frozenset(sorted(office.catalogue.fields_by_purpose[purpose])[:1]) if opens and narrow else None,
        "valid_until": office.clock.now() + timedelta(hours=hours) if opens and hours else None,
    }
    try:
        office.record(subject, act, purpose, **changes)
    except (BadInput, Denied):
        return


def answers(office, subject):
    """For each purpose, recipient and field whether it passes, and whether the subject has decided on it at all."""
    found = {}
    for purpose in PURPOSES:
        fields = sorted(office.catalogue.fields_by_purpose[purpose])
        for recipient in RECIPIENTS:
            with office.database.read() as connection:
                said = office.gate.preview_many(
                    connection, asking=office.asking, purpose=purpose, subjects=[subject], fields=fields,
                    recipient=recipient,
                )[subject]  # fmt: skip
            found |= {(purpose, recipient, code): reason for code, reason in said.items()}
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=histories)
def test_merged_answers_allow_nothing_that_either_did_not(shared, drawn):
    """What passes afterwards passed for the kept one before, and the dropped one said no to nothing of it."""
    office = shared
    people = [office.subject(), office.subject()]
    for who, act, purpose, recipient, narrow, hours, wait in drawn:
        play(office, people[who], act, purpose, recipient, narrow=narrow, hours=hours)
        office.clock.advance(timedelta(hours=wait))
    kept, dropped = people
    ours, theirs = answers(office, kept), answers(office, dropped)
    merge(office, kept, dropped)
    for asked, reason in answers(office, kept).items():
        if reason is None:
            assert ours[asked] is None
            assert theirs[asked] in (None, Reason.NO_DECISION, Reason.RECIPIENT) or undecided(office, dropped, asked)


def undecided(office, subject, asked):
    """Say whether the subject stands on fewer tracks than the one that carries the answer."""
    purpose, recipient, _ = asked
    with office.database.read() as connection:
        made = office.registry.current(connection, subject)
    decided = {one.track for one in made if one.purpose == purpose and one.recipient in (recipient, None)}
    return decided != {Track.BASIS, Track.CONSENT} and purpose == "P02"


def represent(office, ward, *guardians):
    with office.database.write() as connection:
        for guardian in guardians:
            record_guardian(
                connection, subject=ward, guardian=guardian, verification="household_register",
                asking=office.asking, log=office.journal, clock=office.clock,
            )  # fmt: skip


def test_guardians_no_of_the_dropped_one_is_not_passed_over(either_office):
    """R21: another guardian's no binds the kept one, also where a later act of a third closed the same purpose."""
    office = either_office
    born = date(2018, 3, 1)
    kept, dropped, first, second = office.subject(born), office.subject(born), office.subject(), office.subject()
    represent(office, dropped, first, second)
    represent(office, kept, second)
    by = {"actor_kind": ActorKind.GUARDIAN, "evidence": OWN}
    office.grant(dropped, "P08", actor_subject=first, **by)
    office.record(dropped, DecisionAct.REFUSE, "P08", actor_subject=first, **by)
    office.withdraw(dropped, "P08", actor_subject=second, **by)
    office.withdraw(kept, "P08", actor_subject=second, **by)
    made = merge(office, kept, dropped)
    assert [(one.act, one.actor_subject) for one in made] == [(DecisionAct.REFUSE, first)]
    with pytest.raises(GuardiansDisagree):
        office.grant(kept, "P08", actor_subject=second, **by)


def test_refusal_of_the_dropped_one_cools_down_for_the_kept_one(office):
    """R18: whoever refused under one name is not prompted at once under the other, though that had refused before."""
    kept, dropped = office.subject(), office.subject()
    office.record(kept, DecisionAct.REFUSE, "P08")
    office.clock.advance(timedelta(days=9))
    office.record(dropped, DecisionAct.REFUSE, "P08")
    merge(office, kept, dropped)
    with pytest.raises(CoolDown):
        office.grant(kept, "P08")
    office.clock.advance(timedelta(days=3))
    assert office.grant(kept, "P08")


def test_dropped_subject_is_released_never_and_decides_nothing(either_office):
    """R16: the restriction is for good, and every act has to be the kept one's; a merge is made once."""
    office = either_office
    kept, dropped, third = office.subject(), office.subject(), office.subject()
    merge(office, kept, dropped)
    assert state(office, dropped).merged_into == kept
    with office.database.write() as connection, pytest.raises(Conflict, match="merged into"):
        set_standing(connection, dropped, Standing.ACTIVE, now=office.clock.now())
    for refused in (
        lambda: office.withdraw(dropped, "P08"),
        lambda: represent(office, dropped, third),
        lambda: merge(office, third, dropped),
        lambda: merge(office, dropped, third),
    ):
        with pytest.raises(Conflict, match="merged into"):
            refused()
    merge(office, third, kept)
    with office.database.read() as connection:
        assert read_kept(connection, [dropped, kept, third]) == {dropped: third, kept: third}
        assert read_dropped(connection, [third]) == {dropped: third, kept: third}


def test_restriction_that_goes_over_has_its_entry(office):
    """R16: the log tells of the kept one's restriction as of the dropped one's."""
    kept, dropped = office.subject(), office.subject()
    with office.database.write() as connection:
        set_standing(connection, dropped, Standing.RESTRICTED, now=office.clock.now())
    merge(office, kept, dropped)
    told = [entry for entry in office.entries() if entry["act"] == "subject.restricted"]
    assert [sorted(entry["refs"]) for entry in told] == [["dropped"], ["kept"]]
