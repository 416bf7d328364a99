"""Pseudonyms and tokens."""

import pytest

from kernel.errors import BadInput
from kernel.ids import SubjectId, new_id
from kernel.ports import Tokeniser
from vault.pseudonyms import Pseudonyms, forget_pseudonyms

PEOPLE = [SubjectId(new_id("sub")) for _ in range(50)]


def test_pseudonyms_are_stable_within_a_scope_and_differ_across(any_house):
    """One person keeps one name in a scope, across restarts; two scopes share none."""
    first = any_house.pseudonyms.pseudonyms(PEOPLE, scope="view:a")
    again = any_house.restarted().pseudonyms.pseudonyms(PEOPLE[:10], scope="view:a")
    other = any_house.pseudonyms.pseudonyms(PEOPLE, scope="view:b")
    assert again == {subject: first[subject] for subject in PEOPLE[:10]}
    assert len(set(first.values()) | set(other.values())) == 100
    assert all(len(name) == 26 and name.islower() for name in first.values() if not name.isdigit())


def test_a_pseudonym_holds_nothing_of_the_subject_id(house):
    """The id is not to be seen in the name."""
    named = house.pseudonyms.pseudonyms(PEOPLE, scope="view:a")
    assert not any(subject[4:12] in name for subject, name in named.items())


def test_the_way_back_stays_in_its_scope(any_house):
    """A name leads back in its own scope only; unknown names are left out."""
    name = any_house.pseudonyms.pseudonyms(PEOPLE[:1], scope="view:a")[PEOPLE[0]]
    assert any_house.pseudonyms.subjects_of("view:a", [name, "unknown"]) == {name: PEOPLE[0]}
    assert any_house.pseudonyms.subjects_of("view:b", [name]) == {}
    assert any_house.pseudonyms.of_subject(PEOPLE[0]) == {"view:a": name}


def test_a_dropped_subject_has_no_way_back(house):
    """After dropping nobody is behind the name in any scope."""
    name = house.pseudonyms.pseudonyms(PEOPLE[:2], scope="view:a")[PEOPLE[0]]
    house.pseudonyms.pseudonyms(PEOPLE[:2], scope="view:b")
    with house.keys.write() as connection:
        assert forget_pseudonyms(connection, PEOPLE[0]) == 2
    assert house.pseudonyms.subjects_of("view:a", [name]) == {}
    assert house.pseudonyms.of_subject(PEOPLE[0]) == {}
    assert len(house.pseudonyms.of_subject(PEOPLE[1])) == 2


def test_tokens_are_keyed_by_scope_and_unlike_pseudonyms(house):
    """The same value has one token in a scope, another elsewhere, and never that of a subject with the same text."""
    token = house.pseudonyms.token("王医生", scope="view:a")
    assert token == house.pseudonyms.token("王医生", scope="view:a")
    assert token != house.pseudonyms.token("王医生", scope="view:b")
    assert house.pseudonyms.token(PEOPLE[0], scope="view:a") != house.pseudonyms.pseudonyms(
        PEOPLE[:1], scope="view:a"
    ).get(PEOPLE[0])


def test_the_scope_key_is_held_between_calls_until_released(house):
    """Tokens of a whole table cost one look at the key store, and releasing drops the key."""
    house.pseudonyms.token("x", scope="view:a")
    before = house.pseudonyms.token("y", scope="view:a")
    house.pseudonyms.release()
    assert house.pseudonyms._held._kept is None
    assert house.pseudonyms.token("y", scope="view:a") == before


@pytest.mark.parametrize("scope", ["", "x" * 129])
def test_a_scope_has_a_name(house, scope):
    """No name and an endless one are refused."""
    with pytest.raises(BadInput):
        house.pseudonyms.token("x", scope=scope)


def test_nobody_needs_no_pseudonym(house):
    """An empty list gives an empty answer."""
    assert house.pseudonyms.pseudonyms([], scope="view:a") == {}
    assert house.pseudonyms.subjects_of("view:a", []) == {}


def test_the_port_is_implemented(house):
    """De-identification takes it as its tokeniser."""
    tokeniser: Tokeniser = house.pseudonyms
    assert isinstance(tokeniser, Pseudonyms)
