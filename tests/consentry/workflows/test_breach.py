"""Breach cases: what opening needs, whom the law wants told by when, and when a case may close (R41–R44)."""

import hashlib
from datetime import timedelta

import pytest

from audit.events import Act
from audit.queries import find_entries
from consent.tables import task
from consent.tasks import done_task
from consentry.breach_acts import BreachNotice, BreachReport, BreachWaiver
from consentry.breach_duties import Facts, Grade, Profile, duties_of, grade_of
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.breach import (
    WORDS,
    change_breach,
    close_breach,
    list_breaches,
    notify_breach,
    open_breach,
    show_breach,
    waive_breach,
)
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId, SubjectId, new_id
from kernel.oversight import BreachThresholds

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
OFFICER = Principal(PrincipalId("prn_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
SECOND = Principal(PrincipalId("prn_second"), "second", PrincipalKind.PERSON, "compliance_officer")
WORDED = {name: f"words about {name}" for name in WORDS}
LAW = BreachThresholds()


def report(**given):
    return BreachReport.model_validate({**WORDED, "people": 10, **given})


def notice(duty, **given):
    return BreachNotice.model_validate({"duty": duty, "channel": "sms", "text": "what happened", **given})


def waiver(duty):
    return BreachWaiver(duty=duty, reason="measures avoid all harm")


def facts(clock, *profiles, **given):
    known = {"people": 10, "minors": 0, "sensitive": 0, "is_estimate": False, "is_critical": False, **given}
    return Facts(clock.now(), profiles=frozenset(map(Profile, profiles)), **known)


def hours(clock, known):
    """Whole hours from the awareness by duty."""
    return {duty.code: (duty.due_at - clock.now()) // timedelta(hours=1) for duty in duties_of(known, LAW)}


@pytest.mark.parametrize("name", WORDS)
def test_opening_needs_each_of_the_six_words(platform, name):
    """PIPL 57: a case without one of them is refused, which names it."""
    with pytest.raises(BadInput, match=rf"needs {name}$"):
        open_breach(platform, ADMIN, report(**{name: None}))


def test_everything_that_is_missing_is_named_at_once(platform):
    """Blank words are no words, and the number of people is wanted as well."""
    with pytest.raises(BadInput, match=", ".join(WORDS)):
        open_breach(platform, ADMIN, BreachReport(people=3, cause=" "))
    with pytest.raises(BadInput, match="needs people"):
        open_breach(platform, ADMIN, report(people=None))


@pytest.mark.parametrize(
    ("people", "grade"),
    [
        (999_999, Grade.ORDINARY),
        (1_000_000, Grade.LARGER),
        (10_000_000, Grade.SERIOUS),
        (99_999_999, Grade.SERIOUS),
        (100_000_000, Grade.PARTICULARLY_SERIOUS),
    ],
)
def test_grades_by_people(people, grade):
    """R43: the thresholds themselves belong to the graver side."""
    assert grade_of(people, LAW) is grade


def test_timers_of_each_law(clock):
    """R42: 4 hours from larger on, 1 for critical infrastructure, 72 under GDPR, 60 days under HIPAA."""
    assert hours(clock, facts(clock, "pipl")) == {"pipl.authority": 24, "pipl.individuals": 24}
    assert hours(clock, facts(clock, "pipl", people=1_000_000))["pipl.authority"] == 4
    assert hours(clock, facts(clock, "pipl", is_critical=True))["pipl.authority"] == 1
    assert hours(clock, facts(clock, "gdpr")) == {"gdpr.authority": 72}
    assert hours(clock, facts(clock, "gdpr", sensitive=1))["gdpr.individuals"] == 24
    assert hours(clock, facts(clock, "pipl", minors=1))["guardians"] == 24
    many = {"hipaa.individuals": 1440, "hipaa.authority": 1440, "hipaa.media": 1440}
    assert hours(clock, facts(clock, "hipaa", people=500)) == many
    few = {duty.code: duty.due_at.isoformat() for duty in duties_of(facts(clock, "hipaa", people=499), LAW)}
    assert few == {"hipaa.individuals": "2027-01-20T02:00:00+00:00", "hipaa.authority": "2027-03-02T00:00:00+00:00"}


def test_thresholds_are_the_packs(clock):
    """Another pack sets other numbers."""
    own = BreachThresholds(larger=5, larger_hours=2)
    assert grade_of(5, own) is Grade.LARGER
    due = {duty.code: duty.due_at for duty in duties_of(facts(clock, "pipl"), own)}
    assert due["pipl.authority"] - clock.now() == timedelta(hours=2)


def test_words_are_sealed_and_numbers_stand_in_the_log(platform):
    """The entry holds counts and times; what people wrote is opened for the officer alone, which leaves an entry."""
    case = open_breach(platform, ADMIN, report(sensitive=4, estimate=True))
    assert show_breach(platform, ADMIN, case.case_id)["words"] is None
    found = show_breach(platform, OFFICER, case.case_id, locale="en")
    assert found["words"] == WORDED
    assert (found["grade"], found["grade_label"], found["sensitive"]) == ("ordinary", "ordinary", 4)
    assert show_breach(platform, OFFICER, case.case_id)["grade_label"] == "一般"
    assert found["checkpoint"]["size"] > 0
    with platform.data.read() as connection:
        (entry,) = find_entries(connection, act=Act.BREACH_OPENED)
        assert not any(words.encode() in entry.body for words in WORDED.values())
        assert [one.members["refs"] for one in find_entries(connection, act=Act.AUDIT_READ)][-1] == {
            "case": case.case_id
        }


def test_told_in_time_late_and_not_at_all(platform, clock):
    """Each timer says when it was due, when it was met, and whether that was in time."""
    case = open_breach(platform, ADMIN, report()).case_id
    clock.advance(timedelta(hours=3))
    notify_breach(platform, OFFICER, case, notice("pipl.authority", recipient="网信办"))
    notify_breach(platform, OFFICER, case, notice("pipl.individuals", people=4, complete=False))
    clock.advance(timedelta(hours=22))
    (told,) = list_breaches(platform, ADMIN)
    assert told["overdue"] == ["pipl.individuals"]
    assert {duty["duty"]: duty["state"] for duty in told["duties"]} == {
        "pipl.authority": "on_time",
        "pipl.individuals": "overdue",
    }
    notify_breach(platform, OFFICER, case, notice("pipl.individuals", people=6))
    (told,) = list_breaches(platform, ADMIN)
    assert (told["overdue"], [duty["state"] for duty in told["duties"]]) == ([], ["on_time", "late"])
    assert close_breach(platform, OFFICER, case, reason="all were told").closed_at is not None
    (told,) = list_breaches(platform, ADMIN)
    wanted = hashlib.sha256(b"what happened").hexdigest()
    assert (told["state"], told["notifications"][0]["text_hash"]) == ("closed", wanted)


def test_a_case_closes_only_when_nobody_is_left(platform):
    """Not with a duty open, not by a waiver of one person, and only once."""
    case = open_breach(platform, ADMIN, report()).case_id
    with pytest.raises(Conflict, match=r"pipl\.authority, pipl\.individuals"):
        close_breach(platform, OFFICER, case, reason="done")
    notify_breach(platform, OFFICER, case, notice("pipl.authority"))
    assert not waive_breach(platform, OFFICER, case, waiver("pipl.individuals")).is_waived("pipl.individuals")
    with pytest.raises(Conflict, match="already"):
        waive_breach(platform, OFFICER, case, waiver("pipl.individuals"))
    with pytest.raises(Conflict, match=r"pipl\.individuals"):
        close_breach(platform, OFFICER, case, reason="done")
    assert waive_breach(platform, SECOND, case, waiver("pipl.individuals")).is_waived("pipl.individuals")
    assert list_breaches(platform, ADMIN)[0]["duties"][1]["state"] == "waived"
    with pytest.raises(BadInput, match="reason"):
        close_breach(platform, OFFICER, case, reason=" ")
    close_breach(platform, OFFICER, case, reason="done")
    with pytest.raises(Conflict, match="closed"):
        notify_breach(platform, OFFICER, case, notice("pipl.authority"))


def test_a_waiver_lapses_when_the_breach_grows(platform):
    """What two people waived for ten is not waived for a million."""
    case = open_breach(platform, ADMIN, report()).case_id
    for one in (OFFICER, SECOND):
        waive_breach(platform, one, case, waiver("pipl.individuals"))
    assert change_breach(platform, OFFICER, case, BreachReport(people=9)).is_waived("pipl.individuals")
    grown = change_breach(platform, OFFICER, case, BreachReport(people=1_000_000, cause="worse than it seemed"))
    assert not grown.is_waived("pipl.individuals")
    assert grown.grade(LAW) is Grade.LARGER
    assert show_breach(platform, OFFICER, case)["words"] == {**WORDED, "cause": "worse than it seemed"}


def test_guardians_of_named_minors_are_told_one_by_one(platform, captured, clock):
    """R44: a named child makes a task, and the case waits for it."""
    child, adult = captured.person("kid", birth_date="2016-05-05"), captured.person("u-2")
    case = open_breach(platform, ADMIN, report(people=None, subjects=[child, adult, child]))
    assert (case.facts.people, case.facts.minors) == (2, 1)
    for duty in ("pipl.authority", "pipl.individuals", "guardians"):
        notify_breach(platform, OFFICER, case.case_id, notice(duty))
    with pytest.raises(Conflict, match="1 guardians' tasks"):
        close_breach(platform, OFFICER, case.case_id, reason="done")
    with platform.data.write() as connection:
        (row,) = connection.execute(task.select().where(task.c.cause == case.case_id)).all()
        assert (row.kind, row.subject_id, row.due_at) == ("inform", child, clock.now() + timedelta(hours=24))
        done_task(connection, row.task_id, entry_id="ent_x", at=clock.now())
    close_breach(platform, OFFICER, case.case_id, reason="done")
    platform.log.settle()
    with platform.data.read() as connection:
        assert Act.BREACH_OPENED in [one.members["act"] for one in find_entries(connection, subject=adult)]


def test_waived_guardians_leave_no_task_open(platform, captured):
    """R44: two people's waiver closes the tasks, with its reason; a child named later follows."""
    children = [captured.person(f"kid-{n}", birth_date="2016-05-05") for n in range(2)]
    case = open_breach(platform, ADMIN, report(people=5, minors=2, subjects=children[:1])).case_id
    for duty in ("pipl.authority", "pipl.individuals"):
        notify_breach(platform, OFFICER, case, notice(duty))
    waive_breach(platform, OFFICER, case, waiver("guardians"))
    assert show_breach(platform, OFFICER, case)["guardian_tasks"] == 1
    waive_breach(platform, SECOND, case, waiver("guardians"))
    assert show_breach(platform, OFFICER, case)["guardian_tasks"] == 0
    change_breach(platform, OFFICER, case, BreachReport(subjects=children))
    assert show_breach(platform, OFFICER, case)["guardian_tasks"] == 1
    close_breach(platform, OFFICER, case, reason="all done")
    assert show_breach(platform, OFFICER, case)["guardian_tasks"] == 0
    with platform.data.read() as connection:
        done = find_entries(connection, act=Act.TASK_DONE)
        notes = [platform.log.read_details(connection, one.entry_id)["note"] for one in done]
    assert notes == ["measures avoid all harm", "all done"]


def test_accesses_of_an_actor_are_found_by_name(platform, captured):
    """A name that nobody has is refused, not taken for somebody without accesses."""
    captured.person_account("dr.wu", "clinician")
    case = open_breach(platform, ADMIN, report()).case_id
    assert change_breach(platform, OFFICER, case, BreachReport(accesses={"actor": "dr.wu"})).accesses[0] == 0
    for wanted in ({"actor": "dr.nobody"}, {"request_id": "nope"}):
        with pytest.raises(BadInput):
            change_breach(platform, OFFICER, case, BreachReport(accesses=wanted))


def test_accesses_that_belong_to_a_case_are_kept_as_evidence(platform, captured):
    """Their places are sealed, their number and digest stand in the log."""
    captured.person("u-1")
    case = open_breach(platform, ADMIN, report()).case_id
    found = change_breach(platform, OFFICER, case, BreachReport(accesses={"actor": "local:test"}))
    count, digest = found.accesses
    assert (count > 3, len(digest)) == (True, 64)
    sealed = show_breach(platform, OFFICER, case)["words"]["accesses"]
    assert (sealed["filter"], len(sealed["entries"])) == ({"actor": "local:test"}, count)
    later = change_breach(platform, OFFICER, case, BreachReport(people=11))
    assert later.accesses == found.accesses
    with pytest.raises(BadInput, match="Every access"):
        change_breach(platform, OFFICER, case, BreachReport(accesses={}))


@pytest.mark.parametrize(
    "given",
    [
        {"people": 1, "minors": 2},
        {"people": 100, "sensitive": 900},
        {"aware_at": "2026-11-22T02:00:00Z"},
        {"subjects": [new_id("sub")]},
    ],
)
def test_what_does_not_fit_is_refused(platform, given):
    """Numbers that contradict each other, a time ahead, strangers."""
    with pytest.raises(BadInput):
        open_breach(platform, ADMIN, report(**given))


def test_a_list_is_not_longer_than_the_number(platform, captured):
    """People include all who are named."""
    subjects = [captured.person("u-1"), captured.person("u-2")]
    with pytest.raises(BadInput, match="do not fit"):
        open_breach(platform, ADMIN, report(people=1, subjects=subjects))


def test_the_clock_of_a_case_never_moves_later(platform, clock):
    """An earlier awareness is taken, a later one would win time."""
    case = open_breach(platform, ADMIN, report()).case_id
    clock.advance(timedelta(hours=5))
    earlier = change_breach(platform, OFFICER, case, BreachReport(aware_at="2026-11-20T02:00:00Z"))
    assert earlier.overdue(LAW, clock.now())
    with pytest.raises(BadInput, match="later"):
        change_breach(platform, OFFICER, case, BreachReport(aware_at="2026-11-20T03:00:00Z"))
    for at in ("2026-11-20T01:00:00Z", "2026-11-22T01:00:00Z"):
        with pytest.raises(BadInput, match="told then"):
            notify_breach(platform, OFFICER, case, notice("pipl.authority", at=at))


def test_only_what_the_law_names_is_told_or_waived(platform):
    """Another law's duty is none of this case, and nothing said changes nothing."""
    case = open_breach(platform, ADMIN, report()).case_id
    with pytest.raises(BadInput, match="no such duty"):
        notify_breach(platform, OFFICER, case, notice("hipaa.media"))
    with pytest.raises(BadInput, match="no such duty"):
        waive_breach(platform, OFFICER, case, waiver("guardians"))
    with pytest.raises(BadInput, match="Nothing"):
        change_breach(platform, OFFICER, case, BreachReport())
    with pytest.raises(NotFound):
        show_breach(platform, OFFICER, new_id("brc"))
    under_gdpr = open_breach(platform, ADMIN, report(profiles=["gdpr"]))
    assert [duty.code for duty in under_gdpr.open_duties(LAW)] == ["gdpr.authority"]


def test_the_administrator_opens_and_does_not_manage(platform):
    """Whoever runs the deployment does not say that it is over; others see nothing."""
    case = open_breach(platform, ADMIN, report()).case_id
    for act in (
        lambda: close_breach(platform, ADMIN, case, reason="x"),
        lambda: waive_breach(platform, ADMIN, case, waiver("pipl.authority")),
        lambda: notify_breach(platform, ADMIN, case, notice("pipl.authority")),
        lambda: change_breach(platform, ADMIN, case, BreachReport(people=1)),
        lambda: list_breaches(platform, Principal(PrincipalId("p"), "p", PrincipalKind.PERSON, "clinician")),
        lambda: list_breaches(platform, Principal(PrincipalId("k"), "k", PrincipalKind.KEY, "compliance_officer")),
    ):
        with pytest.raises(Denied):
            act()


def test_a_case_of_nobody_named_has_no_cohort(platform):
    """A number alone names nobody in the log."""
    open_breach(platform, ADMIN, report())
    platform.log.settle()
    with platform.data.read() as connection:
        (entry,) = find_entries(connection, act=Act.BREACH_OPENED)
        assert "cohort" not in entry.members
        assert find_entries(connection, subject=SubjectId(new_id("sub"))) == []
