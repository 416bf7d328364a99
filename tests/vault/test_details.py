"""Sealed details."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from kernel.errors import BadInput, IntegrityFailed
from vault._keyring import KeyKind
from vault.envelope import read_key_id
from vault.tables import named_key

DETAILS = {"reason": "复诊前查看", "ip": "10.1.2.3"}


def test_details_open_in_their_own_context(any_house):
    """What was sealed for one entry is opened for it, also after a restart."""
    sealed = any_house.sealer.seal_details(DETAILS, context="ent_1")
    assert any_house.restarted().sealer.open_details(sealed, context="ent_1") == DETAILS
    assert "复诊".encode() not in sealed


def test_details_do_not_open_in_another_context(house):
    """Details cannot be moved to another entry."""
    sealed = house.sealer.seal_details(DETAILS, context="ent_1")
    with pytest.raises(IntegrityFailed):
        house.sealer.open_details(sealed, context="ent_2")


def test_each_year_has_its_key_and_old_years_still_open(house):
    """A year's details can be destroyed as a whole, and no sooner."""
    old = house.sealer.seal_details(DETAILS, context="ent_1")
    house.clock.advance(timedelta(days=365))
    new = house.sealer.seal_details(DETAILS, context="ent_1")
    assert read_key_id(old) != read_key_id(new)
    assert house.sealer.open_details(old, context="ent_1") == DETAILS
    with house.keys.read() as connection:
        versions = select(named_key.c.version).where(named_key.c.kind == KeyKind.DETAILS)
        assert sorted(connection.execute(versions).scalars()) == [2026, 2027]


def test_details_of_a_destroyed_year_are_gone(house):
    """Without the year's key nothing opens."""
    sealed = house.sealer.seal_details(DETAILS, context="ent_1")
    with house.keys.write() as connection:
        connection.execute(delete(named_key).where(named_key.c.kind == KeyKind.DETAILS))
    house.sealer.release()
    with pytest.raises(IntegrityFailed, match="does not exist"):
        house.sealer.open_details(sealed, context="ent_1")


def test_details_have_a_bound(house):
    """More than 64 KiB is no detail."""
    with pytest.raises(BadInput):
        house.sealer.seal_details({"text": "x" * 70_000}, context="ent_1")


def test_sealed_details_that_are_no_object_are_refused(house, monkeypatch):
    """Only what seal_details wrote is opened."""
    monkeypatch.setattr("vault.details.canonical_json", lambda _details: b"[]")
    sealed = house.sealer.seal_details({}, context="ent_1")
    with pytest.raises(IntegrityFailed, match="no object"):
        house.sealer.open_details(sealed, context="ent_1")


def test_marks_are_the_same_after_a_restart(any_house):
    """The same text has the same mark from then on; another text has another."""
    marks = any_house.sealer.mark_texts(["name a", "name b"])
    assert [len(mark) for mark in marks] == [32, 32]
    assert marks[0] != marks[1]
    any_house.sealer.release()
    assert any_house.restarted().sealer.mark_texts(["name b", "name a"]) == marks[::-1]


def test_marks_need_the_key(house):
    """With another key the same text has another mark."""
    marks = house.sealer.mark_texts(["name a"])
    with house.keys.write() as connection:
        connection.execute(delete(named_key).where(named_key.c.kind == KeyKind.SERVICE))
    assert house.restarted().sealer.mark_texts(["name a"]) != marks
