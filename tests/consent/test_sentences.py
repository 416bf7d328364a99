"""What happened, in sentences: every member of every closed list has its words, in both languages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent.ages import AgeClass
from consent.decisions import ActorKind, Decision
from consent.history import Representation, Representing, StandingChange
from consent.lives import Life
from consent.notices import NoticeRef
from consent.reasons import Reason
from consent.rules import DecisionAct, Track
from consent.sentences import Teller
from consent.standing import Standing
from consent.tasks import TaskKind
from consent.words import ACTORS, ACTS, AGES, LIVES, REASONS, STANDINGS, TASKS, TRACKS, Language, show_instant
from kernel.ids import DecisionId, EntryId, SubjectId

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
MADE = Decision(
    decision_id=DecisionId("dec_1"),
    subject=SubjectId("sub_1"),
    purpose="P11",
    recipient="insurer",
    track=Track.CONSENT,
    act=DecisionAct.GRANT,
    notice=NoticeRef("research", "2026-11", "zh-CN"),
    notice_hash="ab",
    actor_kind=ActorKind.GUARDIAN,
    actor_subject=SubjectId("sub_2"),
    fields=frozenset({"sex", "gone_field"}),
    decided_at=NOW,
    valid_until=NOW + timedelta(days=2),
    recorded_at=NOW,
    request_id="req_1",
    entry_id=EntryId("ent_1"),
    renews=DecisionId("dec_0"),
    valid_from=NOW + timedelta(days=1),
    max_uses=3,
    offset_minutes=-300,
)


@pytest.fixture(params=list(Language))
def teller(request, medical):
    """Tells in each language in turn."""
    return Teller(medical, request.param)


@pytest.mark.parametrize(
    ("words", "members"),
    [
        (ACTS, DecisionAct), (TRACKS, Track), (ACTORS, ActorKind), (STANDINGS, Standing), (AGES, AgeClass),
        (REASONS, Reason), (TASKS, TaskKind), (LIVES, Life),
    ],
)  # fmt: skip
def test_every_member_has_words_in_both_languages(words, members):
    """A new act or reason without words is noticed here."""
    assert set(words) == set(members)
    assert all(label.zh and label.en for label in words.values())


def test_every_act_of_every_actor_is_a_sentence(teller):
    """With the recipient, and whole: no placeholder is left open."""
    for act in DecisionAct:
        for kind in ActorKind:
            said = teller.sentence(replace(MADE, act=act, actor_kind=kind))
            assert "insurer" in said
            assert "{" not in said
            assert said.endswith((".", "。"))


def test_facts_of_a_decision_are_all_told(medical):
    """Fields, validity, uses, what it renews and the notice; a field that the pack dropped by its code."""
    facts = Teller(medical, Language.EN).facts(MADE)
    assert facts == {
        "decided": "2026-11-20 21:00:00 -05:00",
        "only for": "gone_field, sex",
        "valid from": "2026-11-22 10:00:00 +08:00",
        "valid until": "2026-11-23 10:00:00 +08:00",
        "uses at most": "3",
        "renews": "dec_0",
        "notice shown": "research/2026-11/zh-CN",
    }


def test_purpose_that_the_pack_dropped_is_told_by_its_code(teller):
    """An old decision does not become unreadable with a new pack."""
    assert "“P99”" in teller.sentence(replace(MADE, purpose="P99"))


def test_every_change_of_standing_is_a_sentence_of_its_own(teller):
    """From registration to erasure and death, and what the law holds after an erasure."""
    first = StandingChange(NOW, Standing.ACTIVE, deceased=False, age_class=AgeClass.UNDER_14, before=None)
    restricted = replace(first, state=Standing.RESTRICTED, before=first)
    erasing = replace(first, state=Standing.ERASING, before=restricted)
    changes = [
        first, restricted, erasing, replace(first, before=restricted), replace(restricted, before=erasing),
        replace(first, state=Standing.ERASED, before=erasing), replace(first, deceased=True, before=first),
        replace(first, age_class=AgeClass.UNDER_18, before=first),
    ]  # fmt: skip
    assert len({teller.sentence(change) for change in changes}) == len(changes)
    assert list(teller.facts(first).values()) in (["未满14周岁"], ["under 14"])


def test_every_representative_is_a_sentence_with_its_facts(teller):
    """Recorded and ended, each kind in its own words; an end says nothing more."""
    said = set()
    for kind in Representing:
        recorded = Representation(
            NOW, "grd_1", kind, SubjectId("sub_2"), is_end=False, verification="court_order", purposes=None,
            until=NOW.date(), entry_id="ent_1",
        )  # fmt: skip
        assert "court_order" in teller.facts(recorded).values()
        assert "2026-11-21" in teller.facts(recorded).values()
        ended = replace(recorded, is_end=True)
        assert teller.facts(ended) == {}
        said |= {teller.sentence(recorded), teller.sentence(ended)}
    assert len(said) == 2 * len(Representing)


def test_instants_carry_their_offset():
    """Half hours and the west included."""
    assert show_instant(NOW, UTC) == "2026-11-21 02:00:00 +00:00"
    assert show_instant(NOW, UTC, offset_minutes=330) == "2026-11-21 07:30:00 +05:30"
    assert show_instant(NOW, UTC, offset_minutes=-210) == "2026-11-20 22:30:00 -03:30"
