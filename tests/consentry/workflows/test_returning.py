"""Who was erased while the law holds something, and comes back: a fresh subject, and what is held stays held."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from audit.events import Act
from audit.queries import find_entries
from consent.registry import DecidedEarlier, SubjectDeceased
from consent.standing import Standing, find_standings, get_standing
from consentry.acts import ConsentAct
from consentry.platform import Platform, open_platform
from consentry.starting import finish_interrupted
from consentry.workflows.capture import capture_acts
from consentry.workflows.erase import erase_subject
from consentry.workflows.reconcile import reconcile
from consentry.workflows.represent import record_deceased
from consentry.workflows.show_erasure import find_erasures, show_erasure
from consentry.workflows.sweep import sweep_expired
from kernel.clock import FixedClock
from kernel.errors import BadInput, NotFound
from kernel.ids import BatchId, SubjectId, new_id
from tests.consentry.conftest import ADMIN, Captured, Deployed
from vault.subjects import IdentityKeys, Resolution, ResolutionKind, Rule
from vault.tables import blind_index, data_key, returned, sealed_record

NUMBER = "110105199005200022"
AGAIN = {"source": "app", "id": "u-2", "id_number": NUMBER, "birth_date": "1990-05-20", "sex": "female"}


@pytest.fixture(params=["sqlite", "postgresql"])
def both(
    request: pytest.FixtureRequest, copied_to: Callable[[str, Path], Deployed], tmp_path: Path, clock: FixedClock
) -> Iterator[Platform]:
    """A platform on each engine."""
    with open_platform(copied_to(request.param, tmp_path / "both").settings, clock=clock) as opened:
        yield opened


def patient(platform: Platform) -> tuple[Captured, SubjectId]:
    """Somebody known by an ID number and two sources, of whom an erasure left a medical record."""
    captured = Captured(platform)
    who = {"source": "app", "id": "u-1", "id_number": NUMBER, "birth_date": "1990-05-20", "sex": "female"}
    subject = captured.record(captured.act("contract", who, "P01", "P02", "P04")).subject
    captured.record(captured.act("contract", who | {"source": "emr", "id": "e-1"}, "P01"))
    captured.grant("u-1", "P02")
    captured.store([captured.posted("u-1", "condition", diagnosis="icd10:I10")])
    platform.clock.advance(timedelta(days=1))
    erase_subject(platform, ADMIN, subject=subject, reason="request 1")
    assert state(platform, subject) is Standing.RESTRICTED
    platform.clock.advance(timedelta(days=30))
    return captured, subject


def state(platform: Platform, subject: SubjectId) -> Standing:
    with platform.data.read() as connection:
        return get_standing(connection, subject).state


def rows(platform: Platform, subject: SubjectId) -> int:
    mine = sealed_record.c.subject_id == subject
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(sealed_record).where(mine)) or 0


def found(platform: Platform) -> set[SubjectId | None]:
    """Whom the ID number and the ids of the first time lead to."""
    resolver = platform.resolver
    return {resolver.find_by_id_number(NUMBER), resolver.find("app", "u-1"), resolver.find("emr", "e-1")}


def keys_of(platform: Platform, subject: SubjectId) -> int:
    with platform.keys.read() as connection:
        return len(connection.scalars(select(data_key.c.key_id).where(data_key.c.subject_id == subject)).all())


def test_a_returning_patient_goes_on_as_a_fresh_subject(both: Platform):
    """A registration gives a new subject; every identifier leads to it, records are taken, and the log says whence."""
    captured, former = patient(both)
    answer = captured.record(captured.act("contract", AGAIN, "P01", "P02", "P04"))
    assert (answer.registered, answer.subject != former) == (True, True)
    assert found(both) == {answer.subject}
    assert both.resolver.find("app", "u-2") == answer.subject
    held = rows(both, former)
    captured.grant("u-2", "P02")
    captured.store([captured.posted("u-1", "condition", number="r-2", diagnosis="icd10:I10")])
    assert (rows(both, answer.subject) > 0, rows(both, former)) == (True, held)
    assert (state(both, answer.subject), state(both, former)) == (Standing.ACTIVE, Standing.RESTRICTED)
    assert reconcile(both, ADMIN).is_clean


def test_the_entry_of_the_registration_names_the_erasure(platform: Platform):
    """An officer comes from the fresh subject to the erasure, and from that to what the law holds."""
    captured, former = patient(platform)
    fresh = captured.record(captured.act("contract", AGAIN, "P01")).subject
    platform.log.settle()
    with platform.data.read() as connection:
        (entry,) = find_entries(connection, act=Act.SUBJECT_REGISTERED, subject=fresh)
    erasure_id = json.loads(entry.body)["refs"]["erasure"]
    assert show_erasure(platform, ADMIN, erasure_id).subject == former
    assert [one.erasure_id for one in find_erasures(platform, ADMIN, subject=former)] == [erasure_id]


def test_who_registers_again_is_not_a_second_fresh_subject(platform: Platform):
    """The next contract finds the fresh subject."""
    captured, _ = patient(platform)
    first = captured.record(captured.act("contract", AGAIN, "P01"))
    second = captured.record(
        captured.act("contract", {"source": "app", "id": "u-1", "birth_date": "1990-05-20"}, "P01")
    )
    assert (first.subject, second.registered) == (second.subject, False)


@pytest.mark.parametrize("act", ["grant", "contract"])
def test_nothing_is_opened_for_a_leftover(platform: Platform, act: str):
    """Without an account the person is as unknown as anybody, by the source's id and by ours."""
    captured, former = patient(platform)
    for whom in (captured.known("u-1"), {"subject_id": former}):
        with pytest.raises(NotFound, match="not registered"):
            captured.record(captured.act(act, whom, "P04" if act == "contract" else "P07"))
    assert found(platform) == {former}


def test_a_leftover_can_still_say_no(platform: Platform):
    """What closes takes effect at once, whoever the person is by then."""
    captured, former = patient(platform)
    assert captured.record(captured.act("refuse", captured.known("u-1"), "P07")).subject == former


def test_an_act_of_before_the_erasure_brings_nobody_back(platform: Platform):
    """A source that sends an old contract once more revives nothing."""
    captured, former = patient(platform)
    old = (platform.clock.now() - timedelta(days=31)).isoformat()
    with pytest.raises(DecidedEarlier):
        captured.record(captured.act("contract", AGAIN, "P01", at=old))
    assert found(platform) == {former}


def test_a_refused_registration_moves_nothing(both: Platform):
    """The law's part is found as before, and no key is left of the subject that was not."""
    captured, former = patient(both)
    before = keys(both)
    with pytest.raises(BadInput):
        captured.record(captured.act("contract", AGAIN, "P01", evidence={}))
    assert found(both) == {former}
    assert both.resolver.find("app", "u-2") is None
    assert keys(both) == before


def keys(platform: Platform) -> set[bytes]:
    with platform.keys.read() as connection:
        return set(connection.scalars(select(data_key.c.key_id)))


def test_the_deceased_do_not_come_back(platform: Platform):
    """Nobody registers under the ID number of somebody who has died."""
    captured, former = patient(platform)
    record_deceased(platform, ADMIN, subject=former, no_kin=False)
    with pytest.raises(SubjectDeceased):
        captured.record(captured.act("contract", AGAIN, "P01"))
    assert found(platform) == {former}


def cut_off(platform: Platform, former: SubjectId) -> SubjectId:
    """A crash between the move of the identifiers and the registration."""
    made = platform.returner.come_back({former: platform.clock.now()}, batch=BatchId(new_id("bat")))
    return made[former]


def test_a_registration_after_a_crash_takes_up_the_fresh_subject(both: Platform):
    """The identifiers lead to one of the two, and the next contract goes on with it."""
    captured, former = patient(both)
    fresh = cut_off(both, former)
    assert found(both) == {fresh}
    answer = captured.record(captured.act("contract", AGAIN, "P01"))
    assert (answer.subject, answer.registered) == (fresh, True)
    assert reconcile(both, ADMIN).is_clean


def test_what_a_crash_cut_off_is_taken_back_at_a_later_start(both: Platform):
    """A registration that nobody repeats leaves the leftover as it was; one under way is left alone."""
    _, former = patient(both)
    fresh = cut_off(both, former)
    finish_interrupted(both)
    assert found(both) == {fresh}
    both.clock.advance(timedelta(hours=2))
    finish_interrupted(both)
    assert found(both) == {former}
    with both.keys.read() as connection:
        assert connection.execute(select(returned)).all() == []


def test_a_registration_that_was_taken_back_meanwhile_begins_anew(platform: Platform):
    """Whoever resolved before sees that the identifiers are gone."""
    _, former = patient(platform)
    fresh = cut_off(platform, former)
    made = platform.returner.find_unregistered([fresh])
    platform.returner.take_back(made.values())
    with pytest.raises(BadInput, match="not to be registered"), platform.data.write() as connection:
        platform.returner.hold(connection, made.values())


def test_two_calls_at_once_make_one_fresh_subject(platform: Platform):
    """The second one's look was before the first one's move: it looks again."""
    _, former = patient(platform)
    cut_off(platform, former)
    with pytest.raises(BadInput, match="came back in this moment"):
        cut_off(platform, former)


def test_the_end_of_the_floor_takes_nothing_of_the_fresh_subject(both: Platform):
    """The leftover ends as erased, with the tie between the two; the person is found and stays active."""
    captured, former = patient(both)
    fresh = captured.record(captured.act("contract", AGAIN, "P01", "P02")).subject
    both.clock.advance(timedelta(days=31 * 366))
    sweep_expired(both, ADMIN)
    assert (state(both, former), rows(both, former)) == (Standing.ERASED, 0)
    assert (found(both), state(both, fresh)) == ({fresh}, Standing.ACTIVE)
    assert keys_of(both, former) == 0
    with both.keys.read() as connection:
        assert connection.execute(select(returned)).all() == []


def test_who_comes_back_can_go_and_come_back_again(platform: Platform):
    """Each erasure leaves a leftover of its own; the last subject is the one that is found."""
    captured, former = patient(platform)
    fresh = captured.record(captured.act("contract", AGAIN, "P01", "P02", "P04")).subject
    captured.grant("u-2", "P02")
    captured.store([captured.posted("u-1", "condition", number="r-2", diagnosis="icd10:I10")])
    platform.clock.advance(timedelta(days=1))
    erase_subject(platform, ADMIN, subject=fresh, reason="request 2")
    platform.clock.advance(timedelta(days=1))
    third = captured.record(captured.act("contract", AGAIN, "P01")).subject
    assert len({former, fresh, third}) == 3
    assert found(platform) == {third}


def test_a_replay_of_tombstones_leaves_the_fresh_subject_alone(both: Platform):
    """Tombstones of the first erasure name the leftover's keys only."""
    captured, former = patient(both)
    fresh = captured.record(captured.act("contract", AGAIN, "P01", "P02")).subject
    both.replayer.replay(asking=both.asking(ADMIN))
    assert (found(both), state(both, former)) == ({fresh}, Standing.RESTRICTED)


def test_links_of_an_older_release_move_as_they_are(platform: Platform):
    """An identifier that lies beside no copy leads to the fresh subject all the same."""
    captured, former = patient(platform)
    with platform.keys.write() as connection:
        connection.execute(update(blind_index).where(blind_index.c.subject_id == former).values(sealed=None))
    fresh = captured.record(captured.act("contract", AGAIN, "P01")).subject
    assert found(platform) == {fresh}


def test_a_doubt_about_the_leftover_is_one_about_the_fresh_subject(platform: Platform):
    """Who places a record is not offered a subject that takes none."""
    captured, former = patient(platform)
    other = IdentityKeys("his", "x-9", NUMBER, sex="male")
    doubtful = Resolution(ResolutionKind.DOUBTFUL, None, Rule.ID_NUMBER_CONTRADICTED, (former,))
    platform.resolver.note_doubtful([(other, doubtful)], batch=None)
    fresh = captured.record(captured.act("contract", AGAIN, "P01")).subject
    assert [doubt.candidates for doubt in platform.resolver.doubtful()] == [(fresh,)]


def test_acts_of_one_call_follow_the_fresh_subject(platform: Platform):
    """A grant right behind the contract is recorded for whom the contract made."""
    captured, former = patient(platform)
    acts = [captured.act("contract", AGAIN, "P01", "P02"), captured.act("grant", captured.known("u-1"), "P07")]
    made = capture_acts(platform, ADMIN, [ConsentAct.model_validate(act) for act in acts])
    assert {one.subject for one in made} == {made[0].subject} != {former}
    with platform.data.read() as connection:
        assert find_standings(connection, [made[0].subject])


def test_what_a_crash_cut_off_goes_with_the_leftover(both: Platform):
    """Identifiers that lead to a subject that was never registered are erased when the last floor ends."""
    _, former = patient(both)
    fresh = cut_off(both, former)
    assert keys_of(both, fresh) > 0
    made = both.returner.find_unregistered([fresh])
    both.clock.advance(timedelta(days=31 * 366))
    sweep_expired(both, ADMIN)
    assert (state(both, former), found(both), keys_of(both, fresh)) == (Standing.ERASED, {None}, 0)
    both.returner.take_back(made.values())
    assert found(both) == {None}
    with both.keys.read() as connection:
        assert connection.execute(select(returned)).all() == []
        assert connection.scalars(select(blind_index.c.subject_id).where(blind_index.c.subject_id == fresh)).all() == []


def test_who_died_during_a_registration_does_not_come_back(platform: Platform):
    """The identifiers are given back, and the registration is refused as that of any deceased."""
    captured, former = patient(platform)
    cut_off(platform, former)
    record_deceased(platform, ADMIN, subject=former, no_kin=False)
    with pytest.raises(SubjectDeceased):
        captured.record(captured.act("contract", AGAIN, "P01"))
    assert found(platform) == {former}
