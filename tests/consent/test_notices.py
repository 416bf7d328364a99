"""Notices: complete, immutable, and material where the law ties consent to what changed."""

import dataclasses
import hashlib
import json
from datetime import timedelta

import pytest
from sqlalchemy import insert

from consent.notice_changes import ChangeKind
from consent.notice_content import content_of
from consent.notices import (
    NoticeIncomplete,
    NoticeRef,
    current_notice,
    differences,
    get_notice,
    informs,
    list_notices,
    newest_edition,
)
from consent.register_facts import Aspect
from consent.tables import notice as notice_table
from consent.tables import notice_change, notice_head
from consent.terms import read_terms
from kernel.catalogue import Label, Retention
from kernel.clock import format_instant
from kernel.encoding import canonical_json
from kernel.errors import BadInput, Conflict, NotFound
from tests.consent.conftest import care_notice, recipient_text, third_party

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
    assert content["facts"]["P02"]["fields"]["name"] == {"keep_days": None}
    assert content["facts"]["P12"]["recipients"] == {"lab": "lab"}
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
    assert entry["refs"] == {
        "catalogue": "ab" * 32,
        "hash": published.hash,
        "notice": "care/2/en",
        "published_at": format_instant(published.published_at),
        "revision": "9",
    }
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
        ({"third_parties": ({"recipient": "lab", "contact": "x"},)}, "table of third parties with recipient, contact"),
        ({"audience": "everybody"}, "an audience of general, child"),
    ],
)
def test_notice_without_its_tables_is_refused(office, changes, missing):
    """What is collected stands in a table, and who receives it, from whom, how and what, in another (R03, R08)."""
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
    ("changes", "material", "inform"),
    [
        ({"title": "Care, nicely said"}, False, False),
        ({"sections": sections(contact="Another desk.")}, False, True),
        ({"sections": sections(controller="The successor.")}, False, True),
        ({"sections": sections(rights="Another way.")}, False, True),
        ({"sections": sections(purpose="And more.")}, True, False),
        ({"sections": sections(method="Another method.")}, True, False),
        ({"sections": sections(categories="More categories.")}, True, False),
        ({"purposes": ("P02", "P12")}, False, False),
        ({"collected": ({"field": "genome", "why": "risk"},)}, True, False),
        ({"third_parties": (third_party("lab", contact="new@example.org"),)}, False, True),
        ({"third_parties": (third_party("lab", method="by post"),)}, True, False),
        ({"third_parties": (third_party("lab"), third_party("press"))}, True, False),
        ({"audience": "child"}, True, False),
    ],
)
def test_change_of_purpose_method_or_category_is_material(publish, changes, material, inform):
    """What the law ties consent to decides, not the author's word; the rest is told (R06, R40)."""
    published = publish(version="2", **changes)
    assert (published.material, published.inform) == (material, inform)


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


@pytest.fixture
def revise(either_office, publish):
    """Publishes the second edition of the care notice after a change of the catalogue, and returns its terms."""

    def revised(*, fields=None, declared=None, recipients=None, purpose="P07", recipient=None, **changes):
        known = either_office.catalogue
        either_office.catalogue = dataclasses.replace(
            known,
            fields=known.fields | (fields or {}),
            purposes=known.purposes | (declared or {}),
            recipients=known.recipients if recipients is None else recipients,
        )
        publish(version="2", **changes)
        return terms_of(either_office, purpose, recipient)

    return revised


def terms_of(office, purpose, recipient=None, at=None):
    with office.database.read() as connection:
        terms = read_terms(connection, None)
    asked = office.catalogue.purposes[purpose]
    return terms.for_purpose(asked, recipient, at or office.clock.now(), by_then=at is not None)


def changed_field(office, code, **changes):
    return {code: dataclasses.replace(office.catalogue.fields[code], **changes)}


def test_first_edition_covers_everything(either_office):
    """Where nothing was before, nothing has changed."""
    told = terms_of(either_office, "P07", "lab")
    assert (told.material, told.since, told.recipient_since) == ({}, {}, {})


def test_new_field_of_a_purpose_is_not_covered_by_older_grants(either_office, revise):
    """Only the field asks anew, and only for that purpose (R06)."""
    fields = changed_field(either_office, "mobile", purposes=frozenset({"P01", "P06", "P07", "P09"}))
    told = revise(fields=fields)
    assert (told.material, told.since) == ({}, {"care": {"mobile": 2}})
    assert terms_of(either_office, "P06").since == {}


@pytest.mark.parametrize(
    ("before", "after", "since"),
    [(None, 30, {}), (30, None, {"reading": 2}), (30, 31, {"reading": 2}), (31, 30, {}), (30, 30, {})],
)
def test_longer_keeping_is_not_covered_by_older_grants(either_office, revise, before, after, since):
    """A field kept longer asks anew, one kept shorter does not (R06)."""
    periods = [Retention(None if days is None else timedelta(days=days)) for days in (before, after)]
    either_office.catalogue = dataclasses.replace(
        either_office.catalogue,
        fields=either_office.catalogue.fields | changed_field(either_office, "reading", retention=periods[0]),
    )
    either_office.publish(code="tags", version="1", purposes=("P07",))
    fields = changed_field(either_office, "reading", retention=periods[1])
    told = revise(fields=fields, code="tags", purposes=("P07",))
    assert told.since.get("tags", {}) == since
    assert "tags" not in told.material


def test_new_recipient_is_not_covered_by_older_grants(either_office, revise):
    """Who is added asks anew for itself, although its row is new in the table; the purpose stands (R06, R08)."""
    press = recipient_text("press", name=Label("印刷", "Press Ltd."), purposes=("P12",))
    with either_office.database.write() as connection:
        either_office.recipient_in(connection, "press", purposes=("P12",))
    told = revise(
        recipients=(press,),
        third_parties=(third_party("lab"), third_party("Press Ltd.")),
        purpose="P12",
        recipient="press",
    )
    assert (told.material, told.recipient_since) == ({}, {"care": 2})
    assert terms_of(either_office, "P12", "lab").recipient_since == {}


def test_removal_ends_nothing(either_office, revise):
    """What is taken away needs no new consent (R06)."""
    fields = changed_field(either_office, "topic", purposes=frozenset({"P08"}))
    purposes = {"P12": dataclasses.replace(either_office.catalogue.purposes["P12"], recipients=())}
    told = revise(fields=fields, declared=purposes, collected=({"field": "diagnosis", "why": "care"},))
    assert (told.material, told.since) == ({}, {})
    assert terms_of(either_office, "P12", "lab").recipient_since == {}


def test_new_purpose_of_a_notice_asks_for_itself_alone(either_office, publish):
    """A purpose that comes after a merger needs consent; those that were there keep theirs (R40)."""
    publish(code="tags", version="1", purposes=("P07",))
    publish(code="tags", version="2", purposes=("P07", "P08"))
    assert terms_of(either_office, "P08").material == {"tags": 2}
    assert terms_of(either_office, "P07").material == {}


def test_successor_is_told_and_ends_no_grant(either_office, revise):
    """Another controller stands in a new edition; people are told of it (R40)."""
    told = revise(sections=sections(controller="The company that took over."))
    assert told.material == {}
    with either_office.database.read() as connection:
        assert informs(connection) == {"care": 2}
        assert read_terms(connection, None).informs == {"care": 2}
        found = differences(connection, "care", 1, 2, locale="en")
    assert (found.inform, found.is_material) == (True, False)
    (change,) = found.changes
    assert (change.item, change.after) == ("controller", "The company that took over.")


def test_changed_basis_and_necessity_are_told(either_office, revise):
    """They tie no grant, and people have to know (PIPL 30)."""
    known = either_office.catalogue.purposes["P06"]
    purposes = {"P06": dataclasses.replace(known, impact=Label("大", "Large."), bases=(*known.bases, "contract"))}
    assert revise(declared=purposes, purpose="P06").material == {}
    with either_office.database.read() as connection:
        found = differences(connection, "care", 1, 2, locale="en")
    assert [(change.kind, change.before, change.after) for change in found.of_purpose("P06")] == [
        (ChangeKind.IMPACT, "Small.", "Large."),
        (ChangeKind.BASES, "consent", "consent, contract"),
    ]
    assert found.of_purpose("P08") == ()


def test_differences_are_listed_for_people(either_office, publish):
    """What changed stands there with both sides, for one purpose or for all."""
    publish(
        version="2",
        purposes=("P02", "P12"),
        sections=sections(method="Another method."),
        collected=({"field": "name", "why": "care"},),
        third_parties=(third_party("press"),),
    )
    with either_office.database.read() as connection:
        found = differences(connection, "care", 1, 2, locale="en")
        with pytest.raises(NotFound, match="Edition 3 of notice care is not published in en"):
            differences(connection, "care", 2, 3, locale="en")
    assert (found.is_material, found.inform) == (True, False)
    assert {change.kind for change in found.changes} == {
        ChangeKind.PURPOSE_REMOVED,
        ChangeKind.SECTION,
        ChangeKind.COLLECTED_ADDED,
        ChangeKind.COLLECTED_REMOVED,
        ChangeKind.THIRD_PARTY_ADDED,
        ChangeKind.THIRD_PARTY_REMOVED,
    }
    method = next(change for change in found.of_purpose("P02") if change.kind is ChangeKind.SECTION)
    assert (method.before, method.after) == ("The method of the processing.", "Another method.")


def test_facts_are_part_of_a_version(either_office, publish):
    """The same words over more fields are another notice (R06)."""
    fields = changed_field(either_office, "mobile", purposes=frozenset({"P01", "P07"}))
    known = either_office.catalogue
    either_office.catalogue = dataclasses.replace(known, fields=known.fields | fields)
    with pytest.raises(Conflict, match="other fields or recipients"):
        publish()


@pytest.fixture
def old_notice(either_office):
    """A notice as the first release stored it: without facts and audience."""
    text = dataclasses.replace(care_notice(code="old"), audience="general")
    content = json.loads(content_of(text, either_office.catalogue))
    for key in ("audience", "facts"):
        del content[key]
    row = {
        "code": "old",
        "version": "1",
        "locale": "en",
        "edition": 1,
        "material": True,
        "hash": "00",
        "content": canonical_json(content),
        "published_at": either_office.clock.now(),
        "entry_id": "ent_old",
    }
    with either_office.database.write() as connection:
        connection.execute(insert(notice_table), row)
        connection.execute(insert(notice_head), {"code": "old", "edition": 1, "material_edition": 1})
    return text


def test_text_of_the_first_release_is_recognised(old_notice, publish):
    """It needs no new version by itself, and counts as written for everybody."""
    assert publish(code="old").audience == "general"
    with pytest.raises(Conflict):
        publish(code="old", audience="child")


def test_edition_after_one_without_facts_is_material(old_notice, publish, either_office):
    """What cannot be compared counts as changed, for every purpose (R06)."""
    assert publish(code="old", version="2").material is True
    assert terms_of(either_office, "P08").material == {"old": 2}


def test_terms_of_the_past_know_what_was_published_then(either_office, publish):
    """An instant before the change sees the notice as it was."""
    before = either_office.clock.now()
    either_office.clock.advance(timedelta(days=1))
    publish(version="2", sections=sections(purpose="And more."))
    assert terms_of(either_office, "P08").material == {"care": 2}
    assert terms_of(either_office, "P08", at=before).material == {}


def test_translation_of_an_edition_adds_what_it_changes_itself(either_office, publish):
    """Two locales of one edition bring their changes together."""
    publish(locale="zh-CN")
    publish(version="2", title="Care again")
    assert terms_of(either_office, "P08").material == {}
    publish(version="2", locale="zh-CN", sections=sections(purpose="另一个目的"))
    assert terms_of(either_office, "P08").material == {"care": 2}


def test_notices_are_listed_as_of_an_instant(either_office, publish):
    """By code, edition and locale; later ones do not show in the past."""
    before = either_office.clock.now()
    either_office.clock.advance(timedelta(days=1))
    publish(version="2", title="Care again")
    publish(code="tags", purposes=("P07",))
    with either_office.database.read() as connection:
        everything = [str(one) for one in list_notices(connection)]
        assert everything == sorted(everything)
        assert {"care/1/en", "care/2/en", "tags/1/en"} <= set(everything)
        assert [str(one) for one in list_notices(connection, code="care")] == ["care/1/en", "care/2/en"]
        assert not {"care/2/en", "tags/1/en"} & {str(one) for one in list_notices(connection, as_of=before)}


def test_change_rows_name_aspects(either_office, publish):
    """Only known aspects follow from a change."""
    publish(version="2", sections=sections(contact="Another desk."))
    with either_office.database.read() as connection:
        found = differences(connection, "care", 1, 2, locale="en")
    assert {change.row for change in found.changes} == {("*", Aspect.INFORM, "")}


def test_same_change_in_a_second_locale_is_published(publish, either_office):
    """R06: what the first translation of an edition changed is there once, and the second one is kept too."""
    changed = either_office.sections | {"method": "Another method."}
    publish(version="1", locale="zh-CN")
    publish(version="2", sections=changed)
    with either_office.database.read() as connection:
        before = connection.execute(notice_change.select()).all()
    second = publish(version="2", locale="zh-CN", sections=changed)
    with either_office.database.read() as connection:
        assert connection.execute(notice_change.select()).all() == before
    assert (second.edition, len(before) > 0) == (2, True)
