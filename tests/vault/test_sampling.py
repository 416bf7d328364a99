"""A sample of rows is verified, and nothing of it comes out."""

import dataclasses

import pytest
from sqlalchemy import delete, update

from kernel.errors import IntegrityFailed
from vault.keystore import destroy_subject_keys
from vault.sampling import Sampled, check_sample
from vault.tables import data_key, sealed_record


def sampled(house, rows: int) -> Sampled:
    return check_sample(house.data, house.keystore, deployment="dep_test", rows=rows)


@pytest.fixture
def people(house) -> list:
    """Five people with a row each."""
    subjects = [house.subject() for _ in range(5)]
    house.store(*(house.record(subject, number=n, name=f"name {n}") for n, subject in enumerate(subjects)))
    return subjects


@pytest.mark.parametrize(("rows", "least"), [(100, 5), (5, 5), (3, 1)])
def test_rows_are_verified_all_or_some(house, people, rows, least):
    """At random places where there are more than are asked for; only counts come back."""
    found = sampled(house, rows)
    assert least <= found.checked <= rows
    assert (found.erased, found.without_key) == (0, 0)
    assert all(isinstance(one, int) for one in dataclasses.astuple(found))


def test_missing_and_destroyed_keys_are_told_apart(house, people):
    """An older key store has no key for a newer row; an erased row has a tombstone."""
    with house.keys.write() as connection:
        destroy_subject_keys(connection, people[0], needed=(), erasure="era_x", clock=house.clock)
        connection.execute(delete(data_key).where(data_key.c.subject_id == people[1]))
    assert sampled(house, 100) == Sampled(checked=3, erased=1, without_key=1)


def test_a_changed_row_is_found(house, people):
    """Its first value does not open."""
    with house.data.write() as connection:
        connection.execute(update(sealed_record).values(source="other"))
    with pytest.raises(IntegrityFailed):
        sampled(house, 100)


def test_an_empty_store_has_no_sample(house):
    """Nothing is no mistake."""
    assert sampled(house, 10) == Sampled()
