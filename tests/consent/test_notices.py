"""Notices: complete, immutable, and material where the law ties consent to what changed."""

import dataclasses
import hashlib
import json

import pytest

from consent.notices import NoticeIncomplete, NoticeRef, current_notice, get_notice, newest_edition
from kernel.errors import BadInput, Conflict, NotFound

SECTION_NAMES = (
    "controller",
    "contact",
    "purpose",
    "method",
    "categories",
    "retention",
    "end_of_retention",
    "rights",
)


@pytest.fixture
def publish(either_office):
    """Publishes one text and returns it as stored."""

    def published(**changes):
        with either_office.database.write() as connection:
            return either_office.publish_in(connection, **changes)

    return published


def sections(**changes):
    return {name: f"The {name} of the processing." for name in SECTION_NAMES} | changes


def current(office, locale="en"):
    with office.database.read() as connection:
        return current_notice(connection, "care", locale)


def test_published_text_is_kept_to_the_byte(either_office):
    """The stored bytes hash to the stored hash and hold the whole text, with necessity and impact (R04)."""
    with either_office.database.read() as connection:
        found = get_notice(connection, "care", "1", "en")
    assert hashlib.sha256(found.content).hexdigest() == found.hash
    content = json.loads(found.content)
    assert content["sections"]["rights"] == "The rights of the processing."
    assert {"code": "P02", "label": "P02", "necessity": "Needed.", "impact": "Small."} in content["purposes"]
    assert found.published_at == either_office.clock.now()
    assert current(either_office) == found


def test_chinese_notice_tells_necessity_in_chinese(publish):
    """The purposes' texts follow the locale."""
    content = json.loads(publish(locale="zh-CN").content)
    assert {purpose.get("necessity") for purpose in content["purposes"]} == {None, "必要"}


def test_same_text_again_changes_nothing(publish, either_office):
    """Publishing what is published leaves no second entry."""
    before = len(either_office.entries())
    assert publish().edition == 1
    assert len(either_office.entries()) == before


def test_published_version_is_immutable(publish):
    """Another text under a published version is refused."""
    with pytest.raises(Conflict, match="another text"):
        publish(title="Something else")


def test_entry_names_version_and_hash(publish, either_office):
    """The log holds which text was published."""
    published = publish(version="2", title="Care again")
    entry = either_office.entries()[-1]
    assert (entry["act"], entry["id"]) == ("notice.published", published.entry_id)
    assert entry["refs"] == {"catalogue": "ab" * 32, "hash": published.hash, "notice": "care/2/en"}
    assert entry["counts"] == {"edition": 2, "material": 0}


@pytest.mark.parametrize("name", SECTION_NAMES)
def test_notice_without_a_section_is_refused(office, name):
    """Each section of PIPL 17 must say something (R01)."""
    with pytest.raises(NoticeIncomplete, match=f"section {name}"):
        office.publish(version="2", sections=sections(**{name: "  "}))


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"title": " "}, "title"),
        ({"purposes": ()}, "purposes"),
        ({"collected": ()}, "table of what is collected"),
        ({"collected": ({"field": "name"}, {"why": "care"})}, "table of what is collected"),
        ({"collected": ({"field": "name", "why": ""},)}, "table of what is collected"),
        ({"third_parties": ()}, "table of third parties"),
        ({"purposes": ("P08",), "third_parties": ({},)}, "table of third parties"),
    ],
)
def test_notice_without_its_tables_is_refused(office, changes, missing):
    """What is collected and who receives it stand in tables (R03)."""
    with pytest.raises(NoticeIncomplete, match=missing):
        office.publish(version="2", **changes)


def test_notice_without_third_parties_is_complete_where_nobody_receives(publish):
    """A purpose that shares with nobody needs no table of third parties."""
    assert publish(version="2", purposes=("P08",), third_parties=()).purposes == {"P08"}


def test_sensitive_purpose_needs_necessity_and_impact(office):
    """A sensitive purpose that says neither cannot be published (R02)."""
    bare = dataclasses.replace(office.catalogue.purposes["P06"], impact=None)
    office.catalogue = dataclasses.replace(office.catalogue, purposes={**office.catalogue.purposes, "P06": bare})
    with pytest.raises(NoticeIncomplete, match="necessity and impact of P06"):
        office.publish(version="2")


def test_unknown_purpose_is_refused(office):
    """A notice informs about purposes of the catalogue."""
    with pytest.raises(BadInput, match="P99"):
        office.publish(version="2", purposes=("P99",))


@pytest.mark.parametrize(
    ("changes", "material"),
    [
        ({"title": "Care, nicely said"}, False),
        ({"sections": sections(contact="Another desk.")}, False),
        ({"sections": sections(purpose="And more.")}, True),
        ({"sections": sections(method="Another method.")}, True),
        ({"sections": sections(categories="More categories.")}, True),
        ({"purposes": ("P02", "P12")}, True),
        ({"collected": ({"field": "genome", "why": "risk"},)}, True),
        ({"third_parties": ({"name": "insurer", "contact": "i@example.org"},)}, True),
    ],
)
def test_change_of_purpose_method_or_category_is_material(publish, changes, material):
    """What the law ties consent to decides, not the author's word (R06)."""
    assert publish(version="2", **changes).material is material


def test_new_edition_in_another_locale_is_material(publish, either_office):
    """Where there is no text to compare with, the stricter side counts."""
    assert publish(version="2", locale="zh-CN").material is True
    with pytest.raises(NotFound, match="no current text in en"):
        current(either_office)
    assert current(either_office, "zh-CN").edition == 2


def test_translation_belongs_to_its_edition(publish, either_office):
    """The same version in another locale is the same edition."""
    translated = publish(locale="zh-CN")
    assert translated.edition == 1
    with either_office.database.read() as connection:
        assert newest_edition(connection, "care") == 1


def test_replaced_edition_takes_no_translation(publish):
    """What is no longer current is not published any more."""
    publish(version="2", title="Care again")
    with pytest.raises(Conflict, match="newer one replaced"):
        publish(version="1", locale="zh-CN")


def test_unpublished_notice_is_not_found(office):
    """Neither version nor code is guessed."""
    with office.database.read() as connection:
        with pytest.raises(NotFound, match="care/9/en"):
            get_notice(connection, "care", "9", "en")
        with pytest.raises(NotFound, match="nowhere"):
            current_notice(connection, "nowhere", "en")
        assert newest_edition(connection, "nowhere") == 0
    assert str(NoticeRef("care", "1", "en")) == "care/1/en"
