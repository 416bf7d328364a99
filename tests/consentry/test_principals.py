"""Accounts and keys: what they may be called, what they may become, and how a wrong secret is answered."""

from datetime import timedelta

import argon2
import pytest
from sqlalchemy import select

from consentry import principals
from consentry.principals import (
    DailyCapReached,
    HashingBusy,
    NotAuthenticated,
    authenticate_key,
    check_daily_cap,
    create_key,
    create_person,
    disable,
    find_person,
    get_person,
    verify_password,
)
from consentry.stores.tables import principal
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import SubjectId


@pytest.fixture
def connection(platform):
    """A write transaction of the data store."""
    with platform.data.write() as opened:
        yield opened


def a_key(connection, clock, *, name="capturer", role="capture", days=30, cap=None):
    """A key and its bearer secret."""
    return create_key(connection, name=name, role=role, days=days, subjects_per_day=cap, clock=clock)


def authenticate_person(connection, *, name, password):
    """The person with this name and password."""
    return verify_password(find_person(connection, name), password)


def test_person_signs_in_with_the_password_that_was_shown(connection, clock):
    """Name and password give the account back; the table holds neither password nor anything like it."""
    made, password = create_person(connection, name="林医生", role="clinician", clock=clock)
    assert authenticate_person(connection, name="林医生", password=password) == made
    assert get_person(connection, made.principal_id) == made
    assert password not in repr(connection.execute(principal.select()).all())


def test_password_is_hashed_with_the_second_parameters_of_rfc_9106(connection, clock, monkeypatch, slow_hasher):
    """Argon2id over 64 MiB, three passes, four lanes: what the product uses where no test has lowered it."""
    monkeypatch.setattr(argon2, "PasswordHasher", slow_hasher)
    made, password = create_person(connection, name="dr.who", role="clinician", clock=clock)
    stored = connection.scalar(select(principal.c.secret_hash).where(principal.c.principal_id == made.principal_id))
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert authenticate_person(connection, name="dr.who", password=password) == made


@pytest.mark.parametrize("wrong", ["", "x", "0" * 500])
def test_wrong_password_unknown_name_and_disabled_account_are_answered_alike(connection, clock, wrong):
    """Nobody learns which of them it was."""
    made, password = create_person(connection, name="dr.who", role="clinician", clock=clock)
    said = set()
    for name, given in (("dr.who", wrong), ("nobody", password)):
        with pytest.raises(NotAuthenticated) as refused:
            authenticate_person(connection, name=name, password=given)
        said.add(refused.value.diagnostics())
    assert disable(connection, "dr.who") == made
    for attempt in (
        lambda: authenticate_person(connection, name="dr.who", password=password),
        lambda: get_person(connection, made.principal_id),
    ):
        with pytest.raises(NotAuthenticated) as refused:
            attempt()
        said.add(refused.value.diagnostics())
    assert len(said) == 1


def test_key_is_no_person_and_a_person_no_key(connection, clock):
    """A machine cannot sign in, and a person has no bearer secret."""
    _, bearer = a_key(connection, clock)
    made, password = create_person(connection, name="dr.who", role="clinician", clock=clock)
    key_id, secret = bearer.split(".", 1)
    for attempt in (
        lambda: authenticate_person(connection, name="capturer", password=secret),
        lambda: get_person(connection, key_id),
        lambda: authenticate_key(connection, bearer=f"{made.principal_id}.{password}", now=clock.now()),
    ):
        with pytest.raises(NotAuthenticated):
            attempt()


def test_disabled_key_is_refused_and_an_unknown_name_is_said(connection, clock):
    """A stolen key ends at once."""
    _, bearer = a_key(connection, clock)
    disable(connection, "capturer")
    with pytest.raises(NotAuthenticated):
        authenticate_key(connection, bearer=bearer, now=clock.now())
    with pytest.raises(NotFound, match="There is no account or key 'nobody'"):
        disable(connection, "nobody")


def test_flood_of_sign_ins_is_turned_away(connection, clock, monkeypatch):
    """Hashing takes memory: beyond two at once, and after a moment's patience, the answer is to come back."""
    monkeypatch.setattr(principals, "_HASHING_PATIENCE_SECONDS", 0)
    made, password = create_person(connection, name="dr.who", role="clinician", clock=clock)
    with principals._hashing(), principals._hashing(), pytest.raises(HashingBusy):
        authenticate_person(connection, name="dr.who", password=password)
    assert authenticate_person(connection, name="dr.who", password=password) == made


@pytest.mark.parametrize("bearer", ["", ".", "key_x", "key_x.y", "\x00.\x00"])
def test_malformed_bearer_is_no_key(connection, clock, bearer):
    """Whatever stands in the header, it is answered as a wrong secret."""
    with pytest.raises(NotAuthenticated):
        authenticate_key(connection, bearer=bearer, now=clock.now())


def test_key_ends_with_its_last_day(connection, clock):
    """The end itself is outside."""
    made, bearer = a_key(connection, clock, days=1)
    clock.advance(timedelta(days=1) - timedelta(microseconds=1))
    assert authenticate_key(connection, bearer=bearer, now=clock.now()) == made
    clock.advance(timedelta(microseconds=1))
    with pytest.raises(NotAuthenticated):
        authenticate_key(connection, bearer=bearer, now=clock.now())


@pytest.mark.parametrize("role", ["capture", "ingest", "subject"])
def test_person_cannot_have_a_machines_or_a_subjects_role(connection, clock, role):
    """Roles that need no person are not a person's."""
    with pytest.raises(BadInput, match="cannot belong to a person"):
        create_person(connection, name="x", role=role, clock=clock)


@pytest.mark.parametrize("role", ["administrator", "clinician", "subject", "nonsense"])
def test_key_has_one_of_two_roles(connection, clock, role):
    """No key opens what it recorded."""
    with pytest.raises(BadInput, match="A key cannot have role"):
        a_key(connection, clock, role=role)


@pytest.mark.parametrize("days", [0, -1, 367])
def test_key_lives_a_year_at_most(connection, clock, days):
    """A key without end is none."""
    with pytest.raises(BadInput, match="1 to 366 days"):
        a_key(connection, clock, days=days)


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "a\nb", "a\x00b", "\u202ex", "x" * 81])
def test_name_that_cannot_be_shown_is_refused(connection, clock, name):
    """Names go into lists and logs as they are: printable, and not longer than the column."""
    with pytest.raises(BadInput, match="1 to 80 printable characters"):
        create_person(connection, name=name, role="clinician", clock=clock)
    with pytest.raises(BadInput, match="1 to 80 printable characters"):
        a_key(connection, clock, name=name)


def test_name_belongs_to_one(connection, clock):
    """Persons and keys share the names."""
    create_person(connection, name="x" * 80, role="clinician", clock=clock)
    with pytest.raises(Conflict, match="is taken"):
        a_key(connection, clock, name="x" * 80)


def test_daily_cap_counts_distinct_subjects_of_a_utc_day(connection, clock):
    """The same person twice counts once; midnight in UTC begins anew; beyond the cap nothing is counted."""
    made, _ = a_key(connection, clock, cap=2)
    first, second, third = (SubjectId(f"sub_{n}") for n in "abc")
    check_daily_cap(connection, made, [first, first], clock=clock)
    check_daily_cap(connection, made, [first], clock=clock)
    with pytest.raises(DailyCapReached, match="2 subjects a day"):
        check_daily_cap(connection, made, [second, third], clock=clock)
    check_daily_cap(connection, made, [second], clock=clock)
    with pytest.raises(DailyCapReached):
        check_daily_cap(connection, made, [third], clock=clock)
    clock.advance(timedelta(hours=22))
    check_daily_cap(connection, made, [third], clock=clock)


def test_without_a_cap_nothing_is_counted(connection, clock):
    """Persons, and keys without a cap, are not counted."""
    made, _ = a_key(connection, clock)
    check_daily_cap(connection, made, [SubjectId(f"sub_{n}") for n in range(50)], clock=clock)
    capped, _ = a_key(connection, clock, name="capped", cap=1)
    check_daily_cap(connection, capped, [], clock=clock)


def test_closing_a_permission_is_never_refused_for_the_cap(connection, clock):
    """A withdrawal is taken beyond the cap, and counted."""
    made, _ = a_key(connection, clock, cap=1)
    check_daily_cap(connection, made, [SubjectId("sub_a")], clock=clock)
    check_daily_cap(connection, made, [SubjectId("sub_b")], clock=clock, is_closing=True)
    check_daily_cap(connection, made, [SubjectId("sub_b")], clock=clock, is_closing=True)
    with pytest.raises(DailyCapReached):
        check_daily_cap(connection, made, [SubjectId("sub_c")], clock=clock)
