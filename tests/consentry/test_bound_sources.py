"""The sources of a key: which names it takes, and how they are kept."""

import pytest
from sqlalchemy import select, update

from consentry.bound_sources import foreign_sources, read_sources, write_sources
from consentry.principals import Principal, PrincipalKind, authenticate_key, create_key
from consentry.stores.tables import principal
from consentry.workflows.capture import capture_acts
from kernel.errors import BadInput
from kernel.ids import PrincipalId


@pytest.fixture
def connection(platform):
    """A write transaction of the data store."""
    with platform.data.write() as opened:
        yield opened


def made(connection, clock, *, role="ingest", sources=("his",)):
    """A key and its bearer secret."""
    return create_key(
        connection, name="sender", role=role, days=30, subjects_per_day=None, clock=clock, sources=sources
    )


def test_key_comes_back_with_its_sources(connection, clock):
    """In any order, each once."""
    key, bearer = made(connection, clock, sources=["pacs", "his", "pacs"])
    assert key.sources == {"his", "pacs"}
    assert authenticate_key(connection, bearer=bearer, now=clock.now()) == key
    assert connection.scalar(select(principal.c.sources).where(principal.c.name == "sender")) == "his,pacs"


@pytest.mark.parametrize("sources", [None, [], ()])
def test_new_ingest_key_needs_a_source(connection, clock, sources):
    """Nobody makes a key any more that may send as any source."""
    with pytest.raises(BadInput, match="An ingest key needs the sources"):
        made(connection, clock, sources=sources)


def test_capture_key_may_be_bound_to_none(connection, clock):
    """It names people by whichever source its page knows them by."""
    assert made(connection, clock, role="capture", sources=None)[0].sources is None


@pytest.mark.parametrize("name", ["", " his", "his,pacs", "医院", "13912345678", "h" * 65, "his\n", "*any"])
def test_name_that_no_source_can_have_over_http_is_refused(name):
    """A key bound to it could send nothing."""
    with pytest.raises(BadInput, match="A source's name"):
        write_sources(["app", name])


def test_sources_fit_into_an_entry():
    """Longer than a text of the log may be, they are refused before anything is made."""
    names = [f"{letter * 63}" for letter in "abcd"]
    assert read_sources(write_sources(names)) == set(names)
    with pytest.raises(BadInput, match="at most 256 characters"):
        write_sources([*names, "e"])


@pytest.mark.parametrize(
    ("kept", "foreign"), [(None, []), ("his", ["app"]), ("app,his", []), ("", ["app", "his"]), ("HIS", ["app", "his"])]
)
def test_only_what_a_key_is_bound_to_is_its_own(kept, foreign):
    """Letter by letter; a text that somebody emptied allows nothing."""
    assert foreign_sources(read_sources(kept), ["his", "app"]) == foreign


def test_key_of_an_earlier_release_may_state_any_source(connection, clock):
    """Its row has no sources; nothing stops with the upgrade."""
    key, bearer = made(connection, clock, sources=["his"])
    connection.execute(update(principal).where(principal.c.name == "sender").values(sources=None))
    found = authenticate_key(connection, bearer=bearer, now=clock.now())
    assert (found.principal_id, found.sources) == (key.principal_id, None)


def test_acts_by_an_own_source_stand_beside_a_foreign_one(platform, captured):
    """Each act by itself; whom the foreign one names is not looked up, and nothing of it stays."""
    from consentry.acts import ConsentAct

    captured.person("u-1")
    key = Principal(PrincipalId("key_" + "c" * 24), "page", PrincipalKind.KEY, "capture", sources=frozenset({"app"}))
    stranger = {"source": "his", "id": "p-1", "birth_date": "1990-05-20"}
    acts = [
        captured.act("contract", stranger, "P01"),
        captured.act("grant", captured.known("u-1"), "P07"),
    ]
    foreign, granted = capture_acts(platform, key, [ConsentAct.model_validate(act) for act in acts])
    assert foreign.rule == "SOURCE"
    assert granted.decisions[0][1] == "P07"
    assert platform.resolver.find("his", "p-1") is None
