"""Who speaks for a subject under a token: the living themselves, and adults among the living for others."""

from datetime import date

import pytest

from consent.guardians import guardians_of
from consent.registry import ActorKind
from consent.standing import Standing, register_subjects, set_standing
from consentry.principals import subject_principal
from consentry.workflows.represent import add_kin, record_deceased
from consentry.workflows.representation import NotRepresented, acting_for
from kernel.ids import SubjectId


@pytest.fixture
def family(captured):
    """A child and its verified guardian."""
    child, guardian = captured.person("c-1", birth_date="2016-05-05"), captured.person("g-1")
    actor = {"kind": "guardian", "subject": captured.known("g-1")}
    evidence = {"mechanism": "document_check", "document": "household_register"}
    captured.record(captured.act("guardian", captured.known("c-1"), actor=actor, evidence=evidence))
    return child, guardian


def may_speak(platform, actor, subject):
    try:
        return acting_for(platform, subject_principal(actor), subject).kind
    except NotRepresented:
        return None


def test_token_of_the_dead_speaks_for_nobody(platform, captured):
    """Whoever holds a dead person's token neither reads nor decides; verified kin does, with its own token (R29)."""
    dead, kin = captured.person("u-1"), captured.person("u-2")
    assert may_speak(platform, dead, dead) is ActorKind.SELF
    record_deceased(platform, captured.caller, subject=dead, no_kin=False)
    assert may_speak(platform, dead, dead) is None
    add_kin(platform, captured.caller, subject=dead, kin=kin, verification="household_register")
    assert may_speak(platform, kin, dead) is ActorKind.KIN
    assert may_speak(platform, kin, kin) is ActorKind.SELF


def be_a_child(connection, platform, who):
    register_subjects(connection, {who: date(2015, 5, 5)}, clock=platform.clock)


def be_erased(connection, platform, who):
    set_standing(connection, who, Standing.ERASING, now=platform.clock.now())


@pytest.mark.parametrize("become", [be_a_child, be_erased])
def test_guardian_who_is_fit_no_longer_does_not_speak_for_the_ward(platform, family, become):
    """Who could not be recorded as a guardian now reads and decides no longer, though the relation stands (R21)."""
    child, guardian = family
    assert may_speak(platform, guardian, child) is ActorKind.GUARDIAN
    with platform.data.write() as connection:
        become(connection, platform, guardian)
        (relation,) = guardians_of(connection, child)
    assert relation.is_live(platform.clock.now())
    assert may_speak(platform, guardian, child) is None


def test_who_is_not_registered_speaks_for_nobody(platform, family):
    """A token of somebody who is gone is refused like a stranger's."""
    child, _ = family
    stranger = SubjectId("sub_" + "a" * 24)
    assert may_speak(platform, stranger, child) is None
