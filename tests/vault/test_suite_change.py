"""A store whose operator chooses another suite: new keys are of it, and what was there stays usable."""

from sqlalchemy import select

from vault._keyring import KeyKind
from vault.envelope import read_key_id
from vault.identity import IdentityKeys
from vault.suites import AES, SM
from vault.tables import data_key, epoch, named_key

STATED = IdentityKeys("his", "p-1", id_number="110101199003074514")


def suites(house, table, *where) -> set[int]:
    with house.keys.read() as connection:
        return set(connection.execute(select(table.c.suite).where(*where)).scalars())


def test_both_suites_live_in_one_store_there_and_back(any_house):
    """Keys of either suite open under epochs of either; indexes and pseudonyms go on finding whom they found."""
    first, second, third = (any_house.subject() for _ in range(3))
    any_house.store(any_house.record(first, diagnosis="icd10:I10", name="张三"))
    any_house.resolver.link([(first, STATED)], batch=None)
    named = any_house.pseudonyms.pseudonyms([first], scope="view:profile")
    for number, (suite, subject) in enumerate(((SM, second), (AES, third))):
        house = any_house.restarted(suite)
        house.store(house.record(subject, diagnosis="icd10:I11"))
        house.store(house.record(first, "reading", number=number, reading="120"))
        assert suites(house, data_key, data_key.c.subject_id == subject) == {suite.code}
        assert [record.values for record in house.open(subject, "P02", "diagnosis")] == [{"diagnosis": "icd10:I11"}]
        assert house.open(first, "P02", "name")[0].values == {"name": "张三"}
        assert house.resolver.find_by_id_number("110101199003074514") == first
        assert house.pseudonyms.pseudonyms([first], scope="view:profile") == named
    assert suites(any_house, epoch) == {AES.code}


def test_what_a_new_scope_or_year_makes_is_of_the_new_suite(house):
    """Details move to a key of their own at once: they are never resealed. Scopes that were there keep theirs."""
    old = house.sealer.seal_details({"reason": "复诊"}, context="ent_1")
    house.pseudonyms.token("doc-7", scope="old")
    moved = house.restarted(SM)
    new = moved.sealer.seal_details({"reason": "复诊"}, context="ent_1")
    moved.pseudonyms.token("doc-7", scope="new")
    assert (old[1], new[1]) == (AES.code, SM.code)
    assert read_key_id(old) != read_key_id(new)
    for sealer in (moved.sealer, house.restarted(AES).sealer):
        assert [sealer.open_details(sealed, context="ent_1") for sealed in (old, new)] == [{"reason": "复诊"}] * 2
    assert suites(house, named_key, named_key.c.name == "old") == {AES.code}
    assert suites(house, named_key, named_key.c.name == "new") == {SM.code}
    assert suites(house, named_key, named_key.c.kind == KeyKind.DETAILS) == {AES.code, SM.code}


def test_a_store_of_sm_begins_with_nothing_else(sm_house):
    """Epoch, data, index, service and scope keys (R55)."""
    subject = sm_house.subject()
    sm_house.store(sm_house.record(subject, diagnosis="icd10:I10"))
    sm_house.resolver.link([(subject, STATED)], batch=None)
    sm_house.pseudonyms.pseudonyms([subject], scope="view:profile")
    for table in (epoch, data_key, named_key):
        assert suites(sm_house, table) == {SM.code}
