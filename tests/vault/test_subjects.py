"""Resolving and linking over real key stores."""

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from kernel.errors import Conflict
from kernel.ids import BatchId, SubjectId, new_id
from vault.identity import IdentityKeys, ResolutionKind, Rule
from vault.tables import blind_index, doubtful_identity, identity_fact

BORN = date(1990, 3, 7)
ID = "110101199003074514"


def stated(source="his", person="p-1", **more):
    return IdentityKeys(source, person, **more)


def resolve(house, *records):
    return house.resolver.resolve_many(list(records))


def known(house, *records, batch=None) -> SubjectId:
    """Resolve records of one new person and link them."""
    found = resolve(house, *records)
    assert len({resolution.subject for resolution in found}) == 1
    house.resolver.link([(found[0].subject, record) for record in records], batch=batch)
    return found[0].subject


def count(house, table) -> int:
    with house.keys.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_an_id_number_joins_across_sources(any_house):
    """The same ID number from another source, written in another way, is the same person."""
    subject = known(any_house, stated(id_number=ID, birth_date=BORN, sex="female"))
    (said,) = resolve(any_house, stated("shop", "c-9", id_number=" １１０１０１199003074514", sex="female"))
    assert (said.kind, said.subject, said.how) == (ResolutionKind.KNOWN, subject, Rule.ID_NUMBER)


def test_an_id_number_with_another_birth_date_is_doubtful(house):
    """A contradiction is listed for a person and never joined."""
    subject = known(house, stated(id_number=ID, birth_date=BORN))
    (said,) = resolve(house, stated("shop", "c-9", id_number=ID, birth_date=date(1990, 3, 8)))
    assert (said.kind, said.subject, said.candidates) == (ResolutionKind.DOUBTFUL, None, (subject,))


@pytest.mark.parametrize(
    ("known_facts", "new_facts", "joins"),
    [
        ({"birth_date": BORN, "sex": "female"}, {"birth_date": BORN, "sex": "female"}, True),
        ({"birth_date": BORN}, {"sex": "female"}, True),
        ({"birth_date": BORN, "sex": "female"}, {"birth_date": BORN, "sex": "male"}, False),
        ({"birth_date": BORN, "sex": "female"}, {"birth_date": date(1991, 3, 7), "sex": "female"}, False),
        ({"birth_date": BORN, "sex": "female"}, {"birth_date": BORN, "sex": "unknown"}, True),
    ],
)
def test_a_source_id_joins_unless_birth_date_or_sex_contradict(house, known_facts, new_facts, joins):
    """Where both sides state them they must be equal."""
    subject = known(house, stated(**known_facts))
    (said,) = resolve(house, stated(**new_facts))
    assert said.subject == (subject if joins else None)
    assert said.kind is (ResolutionKind.KNOWN if joins else ResolutionKind.DOUBTFUL)


def test_the_same_id_in_another_source_is_another_person(house):
    """Source ids mean nothing outside their source, however source and id are put together."""
    known(house, stated("his", "p-1", sex="female"))
    kinds = [
        said.kind for said in resolve(house, stated("shop", "p-1", sex="female"), stated("hisp", "-1", sex="male"))
    ]
    assert kinds == [ResolutionKind.NEW, ResolutionKind.NEW]


def test_a_shared_mobile_never_joins(house):
    """Two members of a family with one mobile stay two people, also in one batch."""
    subject = known(house, stated(mobile="13912345678", sex="female"))
    first, second = resolve(
        house, stated("his", "p-2", mobile="13912345678"), stated("shop", "c-1", mobile="+8613912345678", sex="female")
    )
    assert first.kind is second.kind is ResolutionKind.NEW
    assert len({subject, first.subject, second.subject}) == 3


def test_a_family_may_share_its_mobile_in_the_index(house):
    """Linking two people with one mobile is no conflict."""
    first = known(house, stated("his", "p-1", mobile="13912345678"))
    assert known(house, stated("his", "p-2", mobile="13912345678")) != first


def test_a_bare_reference_finds_its_person_or_nobody(house):
    """A record with only source and id refers to somebody whom the source has sent before."""
    subject = known(house, stated(id_number=ID))
    found, lost = resolve(house, stated(), stated(person="p-404"))
    assert (found.kind, found.subject) == (ResolutionKind.KNOWN, subject)
    assert (lost.kind, lost.how) == (ResolutionKind.UNKNOWN_REFERENCE, Rule.NEVER_SENT)


def test_records_of_one_batch_meet_each_other(house):
    """An ID number that comes twice is one new person; a later reference of the batch finds it."""
    first, second, third = resolve(
        house,
        stated("his", "p-1", id_number=ID, birth_date=BORN),
        stated("shop", "c-1", id_number=ID),
        stated("shop", "c-1"),
    )
    assert first.kind is ResolutionKind.NEW
    assert second.kind is third.kind is ResolutionKind.KNOWN
    assert first.subject == second.subject == third.subject


def test_a_batch_sees_its_own_contradictions(house):
    """What an earlier record of the batch stated is held against a later one."""
    _, second, third = resolve(
        house,
        stated("his", "p-1", id_number=ID, birth_date=BORN),
        stated("shop", "c-1", id_number=ID, birth_date=date(1980, 1, 1)),
        stated("his", "p-1", id_number="110101198001010012"),
    )
    assert (second.how, third.how) == (Rule.ID_NUMBER_CONTRADICTED, Rule.SOURCE_ID_CONTRADICTED)


def test_an_id_number_and_a_source_id_of_two_people_are_doubtful(house):
    """Both people are named as candidates."""
    first = known(house, stated("his", "p-1", id_number=ID))
    second = known(house, stated("his", "p-2", sex="male"))
    (said,) = resolve(house, stated("his", "p-2", id_number=ID))
    assert (said.how, set(said.candidates)) == (Rule.TWO_PEOPLE, {first, second})


def test_a_second_id_number_for_one_person_is_doubtful(house):
    """A source id whose person has another ID number does not join."""
    known(house, stated(id_number=ID))
    (said,) = resolve(house, stated(id_number="110101198001010012"))
    assert said.how is Rule.SOURCE_ID_CONTRADICTED


def test_resolving_stores_nothing(house):
    """Where the gate refuses nothing stays."""
    resolve(house, stated(id_number=ID, birth_date=BORN, mobile="13912345678"))
    assert count(house, blind_index) == count(house, identity_fact) == 0


def test_look_ups_by_source_and_id_number(any_house):
    """People are found again without opening anything."""
    subject = known(any_house, stated(id_number=ID))
    assert any_house.resolver.find("his", "p-1") == subject
    assert any_house.resolver.find_by_id_number(ID.lower()) == subject
    assert any_house.resolver.find("his", "p-2") is None
    assert any_house.resolver.find_by_id_number("1") is None


def test_linking_again_changes_nothing(house):
    """The same link twice is one link."""
    known(house, stated(id_number=ID, birth_date=BORN, mobile="13912345678"))
    before = (count(house, blind_index), count(house, identity_fact))
    known(house, stated(id_number=ID, birth_date=BORN, mobile="13912345678"))
    assert before == (count(house, blind_index), count(house, identity_fact)) == (3, 1)


def test_linking_nobody_is_no_error(house):
    """An empty list leaves the store alone."""
    house.resolver.link([], batch=None)
    house.resolver.note_doubtful([], batch=None)
    assert count(house, blind_index) == 0


def test_an_identifier_that_went_to_somebody_else_meanwhile_is_a_conflict(any_house):
    """Two batches that both found somebody new cannot both link the same ID number."""
    keys = stated(id_number=ID)
    (first,), (second,) = resolve(any_house, keys), resolve(any_house, keys)
    any_house.resolver.link([(first.subject, keys)], batch=None)
    with pytest.raises(Conflict, match=first.subject):
        any_house.resolver.link([(second.subject, keys), (SubjectId(new_id("sub")), stated("x", "y"))], batch=None)
    assert any_house.resolver.find("x", "y") is None


def test_links_of_a_discarded_batch_are_undone(house):
    """What only this batch said goes; what it found there stays."""
    subject = known(house, stated(id_number=ID))
    known(house, stated("shop", "c-1", id_number=ID, birth_date=BORN), batch=BatchId("bat_1"))
    house.resolver.unlink_batch(BatchId("bat_1"))
    assert house.resolver.find("shop", "c-1") is None
    assert house.resolver.find("his", "p-1") == subject
    assert count(house, identity_fact) == 0


@pytest.mark.parametrize("other", [BatchId("bat_2"), None])
def test_a_link_that_somebody_else_confirmed_survives(any_house, other):
    """Discarding the batch that came first takes nothing from the one that came second."""
    keys = stated(id_number=ID, birth_date=BORN)
    subject = known(any_house, keys, stated("his", "p-1b", id_number=ID), batch=BatchId("bat_1"))
    any_house.resolver.link([(subject, keys)], batch=other)
    any_house.resolver.unlink_batch(BatchId("bat_1"))
    assert any_house.resolver.find("his", "p-1") == subject
    assert any_house.resolver.find("his", "p-1b") is None
    assert count(any_house, identity_fact) == 1


@pytest.mark.parametrize("other", [BatchId("bat_2"), None])
def test_keys_go_with_the_last_link_of_a_refused_person(any_house, other):
    """Keys that sealed the copies of somebody refused go; those of a person whom somebody else linked stay."""
    keys = stated(id_number=ID, birth_date=BORN)
    refused = BatchId("bat_1")
    subject = known(any_house, keys, batch=refused)
    known(any_house, stated("shop", "c-1", mobile="13800138000"), batch=refused)
    any_house.resolver.link([(subject, keys)], batch=other)
    any_house.resolver.unlink_batch(refused)
    assert any_house.keystore.drop_keys_of_nobody(refused) > 0
    assert {owner for owner, _ in any_house.keystore.keys_of_batch(refused)} == {subject}
    any_house.resolver.link([(subject, stated("his", "p-2", id_number=ID))], batch=None)
    assert any_house.resolver.find("his", "p-2") == subject


def test_equal_birth_dates_of_two_people_do_not_show(house):
    """Facts are bound to their person before they are digested."""
    known(house, stated("his", "p-1", birth_date=BORN, sex="female"))
    known(house, stated("his", "p-2", birth_date=BORN, sex="female"))
    with house.keys.read() as connection:
        digests = connection.execute(select(identity_fact.c.digest)).scalars().all()
    assert len(set(digests)) == 4


def test_doubts_are_listed_once_and_without_values(any_house):
    """The list names source, rule and candidates, page by page; a repeated doubt is one doubt."""
    subject = known(any_house, stated(id_number=ID, sex="female"))
    entries = []
    for number in range(3):
        keys = stated("shop", f"c-{number}", id_number=ID, sex="male")
        entries.append((keys, resolve(any_house, keys)[0]))
    any_house.resolver.note_doubtful(entries, batch=None)
    any_house.resolver.note_doubtful(entries[:1], batch=None)
    first = any_house.resolver.doubtful(limit=2)
    rest = any_house.resolver.doubtful(after=first[-1].doubt_id)
    assert [doubt.rule for doubt in first + rest] == [Rule.ID_NUMBER_CONTRADICTED] * 3
    assert {doubt.candidates for doubt in first + rest} == {(subject,)}
    assert {doubt.source for doubt in first + rest} == {"shop"}
    assert len({doubt.digest for doubt in first + rest}) == 3


def test_what_is_not_doubtful_is_not_listed(house):
    """Only doubtful resolutions reach the list."""
    keys = stated(id_number=ID)
    house.resolver.note_doubtful([(keys, resolve(house, keys)[0])], batch=None)
    assert count(house, doubtful_identity) == 0


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["his", "shop"]),
            st.sampled_from(["1", "2", None]),
            st.sampled_from(["A", "B", None]),
            st.sampled_from(["female", "male", None]),
        ),
        max_size=6,
    )
)
def test_one_call_decides_like_one_call_for_each(tmp_path_factory, records):
    """Resolving a list at once gives the same kinds as resolving and linking record by record."""
    folder = tmp_path_factory.mktemp("same")
    keys = [IdentityKeys(source, person, id_number, sex=sex) for source, person, id_number, sex in records]
    houses = [fresh_house(folder / name) for name in ("once", "each")]
    once = [(said.kind, said.how) for said in resolve(houses[0], *keys)]
    each = []
    for stated_keys in keys:
        (said,) = resolve(houses[1], stated_keys)
        each.append((said.kind, said.how))
        if said.subject is not None:
            houses[1].resolver.link([(said.subject, stated_keys)], batch=None)
    for house in houses:
        house.keys.dispose()
    assert once == each


def fresh_house(folder):
    """A key store of its own with a resolver over it."""
    from types import SimpleNamespace

    from kernel.clock import SystemClock
    from kernel.database import open_database
    from vault.custodian import KeyfileCustodian
    from vault.keystore import KeyStore
    from vault.subjects import SubjectResolver
    from vault.tables import keystore_metadata

    folder.mkdir()
    keys = open_database(f"sqlite:///{folder / 'keys.db'}", label="key store", must_exist=False)
    keystore_metadata.create_all(keys.engine)
    keystore = KeyStore(keys, KeyfileCustodian.create(folder / "root.key"), SystemClock())
    keystore.initialise()
    return SimpleNamespace(keys=keys, resolver=SubjectResolver(keystore))
