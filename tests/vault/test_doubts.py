"""Doubtful identities: what a person decides holds for the next record, and what it cannot decide is refused."""

from datetime import date
from typing import Any

import pytest

from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import SubjectId
from tests.vault.conftest import House
from vault.doubts import settle_doubt
from vault.identity import IdentityKeys, ResolutionKind
from vault.subjects import Resolution

BORN, OTHER = date(1980, 5, 20), date(1999, 1, 1)


def known(house: House, **stated: Any) -> SubjectId:
    subject = house.subject()
    house.resolver.link([(subject, IdentityKeys(**stated))], batch=None)
    return subject


def resolve(house: House, **stated: Any) -> Resolution:
    (found,) = house.resolver.resolve_many([IdentityKeys(**stated)])
    return found


def doubted(house: House, **stated: Any) -> str:
    """Let a record raise a doubt, and return its id."""
    found = resolve(house, **stated)
    assert found.kind is ResolutionKind.DOUBTFUL
    house.resolver.note_doubtful([(IdentityKeys(**stated), found)], batch=None)
    return house.resolver.doubtful()[-1].doubt_id


RECORD = {"source": "app", "source_subject": "u-1", "birth_date": OTHER}


def test_record_that_was_placed_with_a_candidate_is_no_doubt_any_more(any_house):
    """The candidate's birth date tells it apart no more; the record that comes again states it anew."""
    subject = known(any_house, source="app", source_subject="u-1", birth_date=BORN)
    doubt = doubted(any_house, **RECORD)
    settled = settle_doubt(any_house.keystore, doubt, subject)
    assert (settled.subject, settled.was, settled.source) == (subject, subject, "app")
    found = resolve(any_house, **RECORD)
    assert (found.kind, found.subject) == (ResolutionKind.KNOWN, subject)
    assert any_house.resolver.doubtful() == []
    any_house.resolver.link([(subject, IdentityKeys(**RECORD))], batch=None)
    assert resolve(any_house, **RECORD | {"birth_date": BORN}).kind is ResolutionKind.DOUBTFUL


def test_record_of_a_person_of_its_own_begins_somebody_new(house):
    """The source's id leads to the former candidate no more."""
    subject = known(house, source="app", source_subject="u-1", birth_date=BORN)
    settle_doubt(house.keystore, doubted(house, **RECORD), None)
    found = resolve(house, **RECORD)
    assert found.kind is ResolutionKind.NEW
    assert found.subject != subject


def test_source_id_moves_to_the_owner_of_the_id_number(house):
    """Of two people between whom a record stands the one with the stated ID number can be chosen."""
    owner = known(house, source="his", source_subject="p-1", id_number="110101198005203742")
    other = known(house, source="app", source_subject="u-1")
    stated = {"source": "app", "source_subject": "u-1", "id_number": "110101198005203742"}
    doubt = doubted(house, **stated)
    with pytest.raises(Conflict, match="ID number of another"):
        settle_doubt(house.keystore, doubt, other)
    settle_doubt(house.keystore, doubt, owner)
    assert resolve(house, **stated).subject == owner


def test_stated_id_number_of_a_candidate_cannot_be_a_new_person(house):
    """One of two numbers is wrong, and that is for a correction."""
    subject = known(house, source="his", source_subject="p-1", id_number="110101198005203742", birth_date=BORN)
    stated = {"source": "app", "source_subject": "u-9", "id_number": "110101198005203742", "birth_date": OTHER}
    doubt = doubted(house, **stated)
    with pytest.raises(Conflict, match="ID number of a candidate"):
        settle_doubt(house.keystore, doubt, None)
    settle_doubt(house.keystore, doubt, subject)
    assert resolve(house, **stated).subject == subject


def test_somebody_who_is_no_candidate_is_refused_and_a_settled_doubt_not_found(house):
    """A doubt is decided once, between those whom it names."""
    subject = known(house, source="app", source_subject="u-1", birth_date=BORN)
    doubt = doubted(house, **RECORD)
    with pytest.raises(BadInput, match="no candidate"):
        settle_doubt(house.keystore, doubt, house.subject())
    settle_doubt(house.keystore, doubt, subject)
    with pytest.raises(NotFound, match="There is no doubt"):
        settle_doubt(house.keystore, doubt, subject)


def test_doubt_without_an_id_of_the_source_is_left_to_a_correction(house):
    """Where only the ID number was stated there is nothing that could lead elsewhere."""
    known(house, source="his", id_number="110101198005203742", birth_date=BORN)
    doubt = doubted(house, source="app", id_number="110101198005203742", birth_date=OTHER)
    with pytest.raises(Conflict):
        settle_doubt(house.keystore, doubt, None)
    with pytest.raises(Conflict, match="names no id"):
        settle_doubt(house.keystore, doubt, house.resolver.find_by_id_number("110101198005203742"))
