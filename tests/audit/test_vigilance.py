"""Rules of unusual access: each with what trips it and what does not."""

from datetime import UTC, date, datetime, timedelta

import pytest

from audit.events import Act
from audit.vigilance import SENTENCES, Known, Look, Rule, find_unusual, overdue
from kernel.oversight import AccessThresholds

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FEW = AccessThresholds(
    volume_cap=3, volume_floor=1, volume_factor=2, history_days=7, hour_accesses=4, denial_streak=3, denial_minutes=10
)


def look(index, *, days=0, hours=0, minutes=0, **changes):
    """One look of a clinician at noon of the day, moved by some time."""
    at = NOON + timedelta(days=days, hours=hours, minutes=minutes)
    told = {
        "index": index, "at": at, "day": at.date(), "hour": at.hour, "act": Act.REVEAL, "denied": False,
        "actor": "usr_a", "role": "clinician", "subject": f"als_{index}", "purpose": "P02", "approved": False,
    }  # fmt: skip
    return Look(**(told | changes))


def found(looks, known=None, thresholds=FEW, since=NOON - timedelta(days=30)):
    return [(one.rule, one.evidence) for one in find_unusual(looks, known or Known(), thresholds, since=since)]


def test_every_rule_has_a_sentence_that_its_numbers_fill():
    """Both languages, with the names that findings carry."""
    assert set(SENTENCES) == set(Rule)
    names = {"number": 1, "threshold": 1, "usual": 1, "hour": 1, "accesses": 1, "minutes": 1}
    for label in SENTENCES.values():
        for text in (label.zh, label.en):
            assert "{" not in text.format(actor="usr_a", day="2026-11-21", **names)


def test_more_people_than_the_cap_are_told_with_the_one_too_many():
    """Distinct people count, not entries; the evidence ends where the cap was passed."""
    looks = [look(index) for index in range(5)]
    assert found(looks) == [(Rule.VOLUME_CAP, (0, 1, 2, 3))]
    assert found([look(index, subject="als_same") for index in range(9)]) == []
    assert found(looks[:3]) == []


def test_more_people_than_the_role_is_used_to():
    """Twice the median of the role's days before is expected, and never less than the floor."""
    before = [look(index, days=-2, actor="usr_b") for index in range(1)]
    day = [look(10 + index) for index in range(3)]
    assert found([*before, *day]) == [(Rule.VOLUME_HISTORY, (10, 11, 12))]
    assert found(day) == []
    others = [look(index, days=-2, actor="usr_b", role="nurse") for index in range(1)]
    assert found([*others, *day]) == []
    long_ago = [look(index, days=-8, actor="usr_b") for index in range(1)]
    assert found([*long_ago, *day]) == []


def test_hour_far_from_every_earlier_one():
    """Neither that hour nor one beside it was used before, and the past is long enough to judge."""
    past = [look(index, days=-1 - index, subject="als_x") for index in range(4)]
    assert found([*past, look(9, hours=11)]) == [(Rule.HOUR, (9,))]
    assert found([*past, look(9, hours=1)]) == []
    assert found([*past[:3], look(9, hours=11)]) == []
    assert found([*past, look(9, hours=11), look(10, hours=11)]) == [(Rule.HOUR, (9,))]


def test_midnight_is_beside_the_last_hour():
    """Hours go round."""
    past = [look(index, days=-1 - index, hours=11, subject="als_x") for index in range(4)]
    assert past[0].hour == 23
    assert found([*past, look(9, hours=12)]) == []


def test_looks_at_oneself_relatives_and_the_protected_are_told_once_a_day():
    """By the lists and the register; looking up counts as well as opening."""
    known = Known(own={"usr_a": ("als_1",)}, kin={"usr_a": ("als_2",)}, protected=("als_3",))
    looks = [
        look(1),
        look(2, act=Act.SUBJECT_LOOKED_UP),
        look(3),
        look(4, subject="als_3"),
        look(5, actor="usr_b", subject="als_1"),
    ]
    assert found(looks, known, AccessThresholds()) == [
        (Rule.SELF_LOOKUP, (1,)),
        (Rule.FAMILY_LOOKUP, (2,)),
        (Rule.VIP_LOOKUP, (3,)),
    ]
    assert len(found([*looks, look(6, days=1, subject="als_3")], known, AccessThresholds())) == 4


def test_denials_in_a_row_within_the_window():
    """Three within ten minutes; a run that was told begins anew."""
    denied = [look(index, minutes=index, denied=True, act=Act.ACCESS_DENIED) for index in range(5)]
    assert found(denied) == [(Rule.DENIAL_STREAK, (0, 1, 2))]
    slow = [look(index, minutes=6 * index, denied=True, act=Act.ACCESS_DENIED) for index in range(5)]
    assert found(slow) == []
    split = [look(index, denied=True, act=Act.REFUSAL, actor=f"usr_{index}") for index in range(3)]
    assert found(split) == []


def test_refused_members_of_a_cohort_are_no_tries():
    """A view that leaves people out asks for many at once."""
    assert found([look(index, denied=True, act=Act.REFUSAL, subject=None) for index in range(5)]) == []


def test_emergency_is_told_at_once_and_again_when_nobody_reviewed_it():
    """Twenty-four hours by default (R49)."""
    known = Known(emergencies=("P15",))
    thresholds = AccessThresholds()
    (finding,) = find_unusual([look(1, purpose="P15")], known, thresholds, since=NOON)
    assert (finding.rule, finding.numbers) == (Rule.BREAK_GLASS, {"threshold": 24})
    assert overdue(finding, now=NOON + timedelta(hours=23, minutes=59), thresholds=thresholds) is None
    late = overdue(finding, now=NOON + timedelta(hours=24), thresholds=thresholds)
    assert late.rule is Rule.BREAK_GLASS_OVERDUE
    assert late.finding_id != finding.finding_id


def test_minor_read_without_an_approval():
    """Until majority, and always where the age is not known; an approval or an emergency answers for it (R22)."""
    known = Known(
        minors_until={"als_1": date(2027, 1, 1), "als_2": date(2026, 1, 1), "als_3": None}, emergencies=("P15",)
    )
    looks = [look(1), look(2), look(3), look(4, subject="als_1", approved=True), look(5)]
    assert found(looks, known, AccessThresholds()) == [(Rule.MINOR_UNAPPROVED, (1,)), (Rule.MINOR_UNAPPROVED, (3,))]
    assert Rule.MINOR_UNAPPROVED not in dict(found([look(1, purpose="P15")], known, AccessThresholds()))


def test_data_subjects_are_not_watched_as_staff():
    """A person who opens the own data is no finding."""
    person = "als_" + "a" * 24
    assert found([look(index, actor=person) for index in range(9)]) == []


@pytest.mark.parametrize("more", [0, 3])
def test_finding_keeps_its_name_while_the_day_goes_on(more):
    """Whoever looks again later finds the same one, not another (flagged once)."""
    names = {
        one.finding_id
        for number in (4, 4 + more)
        for one in find_unusual([look(i) for i in range(number)], Known(), FEW, since=NOON)
    }
    assert len(names) == 1


def test_what_was_tripped_before_the_period_is_not_told_again():
    """The past serves to compare only."""
    assert found([look(index) for index in range(5)], since=NOON + timedelta(minutes=1)) == []


def test_limit_of_reading_is_told_once_a_day():
    """The first refusal of each person of staff; denials for other reasons are none of it."""
    refused = {"act": Act.ACCESS_DENIED, "denied": True, "reason": "RATE"}
    looks = [
        look(1, **refused),
        look(2, **refused),
        look(3, **{**refused, "reason": "ROLE"}),
        look(4, days=1, **refused),
    ]
    assert found(looks, thresholds=AccessThresholds()) == [(Rule.LIMIT_REACHED, (1,)), (Rule.LIMIT_REACHED, (4,))]
