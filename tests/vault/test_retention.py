"""The end of keeping: what has expired goes with its keys, what lives moves, what is held stays."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from consent.standing import Standing, lock_subjects, set_standing
from kernel.errors import Denied
from kernel.ids import SubjectId
from tests.vault.conftest import ASKING, DEPLOYMENT, YEAR, House
from tests.vault.filing import Filing, content_of
from vault.data_rotation import DataKeys, rotate_data_keys
from vault.identity import IdentityKeys, Resolution, ResolutionKind, Rule
from vault.retention import Sweeper
from vault.sweep_certificates import SWEEP_SIGNED_PREFIX, keys_digest
from vault.tables import (
    attachment,
    attachment_chunk,
    data_key,
    doubtful_identity,
    key_tombstone,
    legal_hold,
    retiring_key,
    sealed_record,
    sweep,
    tombstone,
)

HALF_YEAR = YEAR / 2 + timedelta(days=1)
POINTS = ["keys made", "deleted", "keys destroyed", "keys buried"]


class Crash(Exception):
    """The end of a process."""


def sweeper(house: House, at: Callable[[str], None] = lambda _point: None) -> Sweeper:
    """Of this house."""
    return Sweeper(house.data, house.keystore, house.log, house.signer, house.clock, deployment=DEPLOYMENT, at=at)


def sweep_of(house: House):
    """Run one cycle."""
    return sweeper(house).sweep(asking=ASKING)


def browsed(house: House, number: object = 1) -> SubjectId:
    """Somebody with a page view, kept for half a year, and a page of the profile, for 15 years, under the same key."""
    subject = house.subject()
    view = house.record(subject, "event", number, event_type="page_view", page="a")
    house.store(view, house.record(subject, "profile", number, page="kept"))
    return subject


def pages(house: House, subject: SubjectId) -> list[object]:
    """What is opened of somebody's pages."""
    return [record.values["page"] for record in house.open(subject, "P08", "page")]


def count(database, table) -> int:
    """Rows of a table."""
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def key_ids(house: House) -> set[bytes]:
    """The data keys that are there."""
    with house.keys.read() as connection:
        return set(connection.scalars(select(data_key.c.key_id)))


def set_hold(house: House, subject: SubjectId, **more: object) -> None:
    """Put a hold's row there."""
    row = {
        "hold_id": "hld_1", "subject_id": subject, "reference": "case-1", "set_by": "officer",
        "set_at": house.clock.now(), "entry_id": "aud_1",
    }  # fmt: skip
    with house.data.write() as connection:
        connection.execute(insert(legal_hold), row | more)


# --- what goes and what stays


def test_an_expired_row_goes_and_the_living_move_to_a_new_key(any_house: House):
    """R65: the page view is gone with the key that sealed it; what shared the key opens under another."""
    subject = browsed(any_house)
    before = key_ids(any_house)
    any_house.clock.advance(HALF_YEAR)
    outcome = sweep_of(any_house)
    assert outcome is not None
    assert outcome.counts == {"rows": 1, "values": 2, "keys": 1, "moved_rows": 1, "left_rows": 0}
    assert outcome.fields == {"event_type": 1, "page": 1}
    assert outcome.kinds == {"event": 1}
    assert pages(any_house, subject) == ["kept"]
    assert count(any_house.data, sealed_record) == 1
    destroyed = before - key_ids(any_house)
    with any_house.data.read() as connection, any_house.keys.read() as keys:
        mine = connection.execute(select(tombstone.c.key_id, tombstone.c.erasure_id)).all()
        theirs = keys.execute(select(key_tombstone.c.key_id, key_tombstone.c.erasure_id)).all()
    assert {(key_id, outcome.sweep_id) for key_id in destroyed} == set(mine) == set(theirs)
    assert count(any_house.data, retiring_key) == 0


def test_the_certificate_is_signed_and_says_what_went(house: House):
    """Numbers by field and kind, the digest of the keys, no value, no subject."""
    subject = browsed(house)
    house.clock.advance(HALF_YEAR)
    outcome = sweep_of(house)
    said = json.loads(outcome.certificate.content)
    with house.keys.read() as connection:
        ids = connection.scalars(select(key_tombstone.c.key_id)).all()
    assert said["keys"] == {"count": 1, "sha256": keys_digest(ids)}
    assert (said["why"], said["counts"]["rows"], said["fields"]["page"]) == ("retention", 1, 1)
    assert house.signer.sign(SWEEP_SIGNED_PREFIX + outcome.certificate.content) == outcome.certificate.signature
    assert subject not in outcome.certificate.content.decode()
    (completed,) = house.entries("sweep.completed")
    assert said["entries"]["completed"] == completed["id"]


def test_every_part_of_a_cycle_leaves_its_entry(house: House):
    """Begun, each part with those whose it was, the keys by name, and the end."""
    for number in range(2):
        browsed(house, number)
    house.clock.advance(HALF_YEAR)
    outcome = sweep_of(house)
    (part,), (keys,), (end,) = (house.entries(f"{act}") for act in ("sweep.chunk", "keys.destroyed", "sweep.completed"))
    assert (part["counts"]["rows"], part["cohort"]["size"]) == (2, 2)
    assert keys["counts"] == {"keys": 2}
    assert {entry["refs"]["sweep"] for entry in (part, keys, end)} == {outcome.sweep_id}
    assert len(house.entries("sweep.started")) == 1


def test_nothing_expired_leaves_nothing(house: House):
    """A cycle that finds nothing has no row, no entry and no certificate."""
    browsed(house)
    assert sweep_of(house) is None
    assert count(house.data, sweep) == 0
    assert house.entries("sweep.started") == []


def test_the_next_cycle_takes_what_expires_next(any_house: House):
    """Cycle by cycle, the 15-year record as well."""
    subject = browsed(any_house)
    any_house.clock.advance(HALF_YEAR)
    first = sweep_of(any_house)
    assert sweep_of(any_house) is None
    any_house.clock.advance(16 * YEAR)
    second = sweep_of(any_house)
    assert (second.sweep_id != first.sweep_id, second.counts["rows"]) == (True, 1)
    assert pages(any_house, subject) == []
    assert count(any_house.data, sealed_record) == 0


def test_a_legal_floor_wins(any_house: House):
    """A coupon is kept for a year and held for three: it stays until the floor has passed."""
    subject = any_house.subject()
    any_house.store(any_house.record(subject, "order", coupon="c"))
    any_house.clock.advance(2 * YEAR)
    assert sweep_of(any_house) is None
    any_house.clock.advance(2 * YEAR)
    assert sweep_of(any_house).counts["rows"] == 1


@pytest.mark.parametrize("reach", [{}, {"compartment": "behaviour"}, {"field": "page"}])
def test_an_officers_hold_wins_until_it_is_released(any_house: House, reach: dict):
    """R65: on the subject, a compartment or a field; afterwards the next cycle takes what has waited."""
    subject, other = browsed(any_house, 1), browsed(any_house, 2)
    set_hold(any_house, subject, **reach)
    any_house.clock.advance(HALF_YEAR)
    assert sweep_of(any_house).counts == {"rows": 1, "values": 2, "keys": 1, "moved_rows": 1, "left_rows": 1}
    assert count(any_house.data, sealed_record) == 3
    any_house.clock.advance(timedelta(days=1))
    with any_house.data.write() as connection:
        connection.execute(
            update(legal_hold).values(released_at=any_house.clock.now(), released_by="officer", release_entry="aud_2")
        )
    assert sweep_of(any_house).counts["rows"] == 1
    assert [pages(any_house, who) for who in (subject, other)] == [["kept"], ["kept"]]


def test_a_hold_on_another_compartment_keeps_nothing_here(house: House):
    """Its reach is what it says."""
    set_hold(house, browsed(house), compartment="clinical")
    house.clock.advance(HALF_YEAR)
    assert sweep_of(house).counts["rows"] == 1


def test_who_is_restricted_keeps_what_there_is(any_house: House):
    """A restriction keeps the data as it is (GDPR 18); lifted, the next cycle goes on."""
    subject = browsed(any_house)
    for state in (Standing.RESTRICTED, Standing.ACTIVE):
        with any_house.data.write() as connection:
            lock_subjects(connection, [subject], exclusive=True)
            set_standing(connection, subject, state, now=any_house.clock.now())
        any_house.clock.advance(HALF_YEAR)
        outcome = sweep_of(any_house)
        assert outcome.counts.get("left_rows", 0) == (state is Standing.RESTRICTED)
    assert outcome.counts["rows"] == 1


def test_expired_files_go_with_their_chunks(any_house: House):
    """The chunks, the key that the content's own key was wrapped under, and nobody else's file."""
    filing = Filing.of(any_house)
    subject = any_house.subject()
    filing.store(filing.wanted(subject, "id_photo"), content_of(300_000))
    stays = filing.store(filing.wanted(subject, "images"), content_of(300_000))
    any_house.clock.advance(timedelta(days=8))
    assert sweep_of(any_house).counts == {"attachments": 1, "values": 1, "keys": 1, "left_rows": 0}
    assert (count(any_house.data, attachment), count(any_house.data, attachment_chunk)) == (1, 2)
    assert filing.content(stays) == content_of(300_000)


def test_more_rows_than_one_transaction_moves_are_moved(house: House):
    """Twelve hundred living rows beside one that has expired, in several transactions."""
    subject = house.subject()
    house.store(house.record(subject, "event", "old", event_type="page_view", page="old"))
    house.store(*[house.record(subject, "profile", number, page=str(number)) for number in range(1_200)])
    house.clock.advance(HALF_YEAR)
    assert sweep_of(house).counts["rows"] == 1
    with house.data.read() as connection:
        assert len(set(connection.scalars(select(sealed_record.c.key_id)))) == 1
    assert len(pages(house, subject)) == 1_200


def test_the_index_of_an_expired_identifier_goes(any_house: House):
    """An ID number that is stored no longer finds nobody."""
    subject = any_house.subject()
    any_house.store(any_house.record(subject, "profile", id_number="11010519491231002X"))
    any_house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number="11010519491231002X"))], batch=None)
    any_house.clock.advance(16 * YEAR)
    assert any_house.resolver.find_by_id_number("11010519491231002X") == subject
    sweep_of(any_house)
    assert any_house.resolver.find_by_id_number("11010519491231002X") is None
    assert any_house.resolver.find("his", "p-1") == subject, "the account is still there"


def test_doubts_that_nobody_settled_go(house: House):
    """After half a year their digests are deleted, with or without anything else that has expired."""
    doubt = Resolution(ResolutionKind.DOUBTFUL, None, Rule.TWO_PEOPLE, (house.subject(),))
    house.resolver.note_doubtful([(IdentityKeys("his", "p-1"), doubt)], batch=None)
    house.clock.advance(timedelta(days=179))
    sweep_of(house)
    assert count(house.keys, doubtful_identity) == 1
    house.clock.advance(timedelta(days=2))
    sweep_of(house)
    assert count(house.keys, doubtful_identity) == 0


def test_keys_that_are_rotated_meanwhile_leave_the_person_to_the_next_cycle(house: House):
    """What was moved to the newest key has no newer one to leave for; the cycle ends, and the next takes it."""
    subject = browsed(house)
    house.clock.advance(HALF_YEAR)

    def rotate(point: str) -> None:
        if point == "keys made":
            parts = (house.keystore, house.data, house.log)
            rotate_data_keys(*parts, DataKeys(), deployment=DEPLOYMENT, asking=ASKING)

    outcome = sweeper(house, at=rotate).sweep(asking=ASKING)
    assert outcome is not None
    assert outcome.counts == {"left_rows": 1}
    assert pages(house, subject) == ["kept"]
    again = sweep_of(house)
    assert again is not None
    assert (again.counts["rows"], again.counts["left_rows"]) == (1, 0)
    assert pages(house, subject) == ["kept"]


# --- crashes


@pytest.mark.parametrize(("point", "nth"), [("begun", 1), *((point, nth) for point in POINTS for nth in (1, 2))])
def test_a_crash_at_any_point_is_gone_on_with(house: House, point: str, nth: int):
    """The same cycle ends with the same numbers; nothing is lost, nothing stays, nothing is counted twice."""
    subjects = [house.subject("P08") for _ in range(21)]  # two chunks
    views = [house.record(subject, "event", subject, event_type="page_view", page="a") for subject in subjects]
    house.store(*views, *[house.record(subject, "profile", subject, page="kept") for subject in subjects])
    house.clock.advance(HALF_YEAR)
    left = nth

    def crash(here: str) -> None:
        nonlocal left
        left -= here == point
        if not left:
            left = -1
            raise Crash

    try:
        sweeper(house, at=crash).sweep(asking=ASKING)
    except Crash:
        house = house.restarted()
        house.clock.advance(timedelta(hours=1))
    outcome = sweep_of(house)
    assert outcome is not None
    assert outcome.counts == {"rows": 21, "values": 42, "keys": 21, "moved_rows": 21, "left_rows": 0}
    assert json.loads(outcome.certificate.content)["keys"]["count"] == 21
    assert [pages(house, subject) for subject in subjects] == [["kept"]] * 21
    assert count(house.data, tombstone) == count(house.keys, key_tombstone) == 21
    assert sum(entry["counts"]["keys"] for entry in house.entries("keys.destroyed")) == 21
    assert count(house.data, sweep) == len(house.entries("sweep.completed")) == 1


def test_two_processes_share_a_cycle(any_house: House):
    """Whoever comes second finds each part done; rows and keys are counted once."""
    for number in range(3):
        browsed(any_house, number)
    any_house.clock.advance(HALF_YEAR)
    first, second = (sweeper(house).steps(asking=ASKING) for house in (any_house, any_house.restarted()))
    next(first)
    outcomes = [done for done in [*second, *first] if done is not None]
    assert {outcome.counts["rows"] for outcome in outcomes} == {3}
    assert len(any_house.entries("sweep.completed")) == 1


# --- whoever changes what is stored


@pytest.mark.parametrize("column", ["expires_at", "held_until", "purpose"])
def test_a_forged_row_takes_nothing_along(any_house: House, column: str, caplog):
    """A living row that is made to look expired stays, with all of its subject's; others are swept all the same."""
    forged, other = browsed(any_house, 1), browsed(any_house, 2)
    any_house.clock.advance(HALF_YEAR)
    values = {"expires_at": any_house.clock.now(), "held_until": any_house.clock.now() - YEAR, "purpose": "P02"}
    with any_house.data.write() as connection:
        mine = (sealed_record.c.subject_id == forged, sealed_record.c.kind == "profile")
        connection.execute(update(sealed_record).where(*mine).values({column: values[column]}))
    outcome = sweep_of(any_house)
    assert outcome.counts["rows"] == 1
    assert outcome.counts["left_rows"] == 1 + (column == "expires_at")
    assert f"subject {forged} stays" in caplog.text
    assert pages(any_house, other) == ["kept"]
    with any_house.data.read() as connection:
        left = connection.scalars(select(sealed_record.c.kind).where(sealed_record.c.subject_id == forged)).all()
    assert sorted(left) == ["event", "profile"]


def test_an_older_copy_of_an_expired_row_does_not_open(any_house: House):
    """Put back beside today's key store, it has lost its key; the living one beside it opens."""
    subject = browsed(any_house)
    with any_house.data.read() as connection:
        old = connection.execute(select(sealed_record).where(sealed_record.c.kind == "event")).mappings().one()
    any_house.clock.advance(HALF_YEAR)
    sweep_of(any_house)
    with any_house.data.write() as connection:
        connection.execute(insert(sealed_record), {**old, "expires_at": any_house.clock.now() + YEAR})
    assert pages(any_house, subject) == ["kept"]


def test_a_sweep_is_no_way_around_the_gate(house: House):
    """It returns numbers; what lives still needs permit and receipt."""
    subject = browsed(house)
    house.clock.advance(HALF_YEAR)
    sweep_of(house)
    permit = house.permit(subject, "P08", "page")
    receipt = house.receipt(permit)
    house.vault.open(permit, receipt, subject=subject, fields=["page"])
    with pytest.raises(Denied):
        house.vault.open(permit, receipt, subject=subject, fields=["page"])


def test_nothing_of_what_expired_is_left_on_disk(house: House):
    """No byte of the sealed row, once the stores were scrubbed."""
    browsed(house)
    with house.data.read() as connection:
        payload = connection.scalar(select(sealed_record.c.payload).where(sealed_record.c.kind == "event"))
    house.clock.advance(HALF_YEAR)
    sweep_of(house)
    house.eraser.scrub()
    assert payload[-40:] not in house.files()
