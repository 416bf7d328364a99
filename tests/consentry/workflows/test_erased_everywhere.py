"""After an erasure: no byte of the person anywhere on disk, and every table that still names them says why."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from audit.tables import alias as alias_table
from consent.standing import Standing, get_standing
from consentry.migrations import Store, metadata_of
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.erase import erase_subject
from consentry.workflows.export import run_export
from consentry.workflows.initialise import initialise
from consentry.workflows.rotate import rotate_data, rotate_keys
from consentry.workflows.show_erasure import find_erasures
from kernel.errors import NotFound
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, Captured
from tests.consentry.wake.conftest import Shelf
from vault.data_rotation import DataKeys
from vault.identity import IdentityKeys
from vault.tables import (
    blind_index,
    data_key,
    doubtful_identity,
    identity_fact,
    pseudonym,
    sealed_record,
)

VALUES: Final = {"mobile": "13912345678", "id_number": "110101198005204513", "birth_date": "1980-05-20"}

_DECIDED = "proof of what was consented to, kept for as long as it can be disputed (PIPL 69); ids, codes and instants"
_LOG = "the log: random names, which lead to the person for the officer alone and until its legal floor (R52)"
KEPT: Final[Mapping[str, str]] = {
    "agent": _DECIDED,
    "consent_current": _DECIDED,
    "decision": _DECIDED,
    "guardian": _DECIDED,
    "standing_change": _DECIDED,
    "subject_standing": "says ERASED, so that nothing of the person is taken again under this id",
    "task": "what people had to do for the person, and have done; ids and codes",
    "wake_item": "what followed from closing acts, and whom is still to be told of the erasure; ids and codes",
    "transfer": "whom a yearly number of transfers abroad counts (PIPL 38, 40)",
    "cohort_batch": "borders of batches of a cohort; who happens to stand there",
    "erasure": "the erasure itself",
    "legal_hold": "why something was kept, for the officer who set it",
    "record_change": "which subjects turned out to be one or two; ids",
    "retiring_key": "keys that a sweep has yet to destroy",
    "audit_alias": _LOG,
    "audit_cohort_member": _LOG,
    "audit_detail": _LOG,
    "audit_inbox": _LOG,
    "audit_leaf": _LOG,
}
"""Tables that may name an erased subject, each with its reason."""

CLEANED: Final = {
    "answered_act",
    "attachment",
    "blind_index",
    "blinding_key",
    "case_grant",
    "cohort_verdict",
    "content_review",
    "data_key",
    "doubtful_identity",
    "emergency_access",
    "identity_fact",
    "principal_subject_day",
    "pseudonym",
    "read_approval",
    "reading_subject",
    "returned",
    "sealed_record",
    "tag_value",
}
"""Tables that an erasure empties of its subject."""

_TELLING_BYTES: Final = 8
"""Shorter ones, of coarse indexes, stand everywhere by chance."""

_NAMING: Final = ("subject_id", "subject", "candidates", "pseudonym", "guardian", "agent", "from_subject", "alias")


def tables() -> Iterator[tuple[Store, object]]:
    for store in Store:
        for metadata in metadata_of(store):
            for table in metadata.sorted_tables:
                yield store, table


def test_every_table_that_can_name_a_subject_is_cleaned_or_has_its_reason():
    """A new table with a subject in it stands on one of the lists, or this fails."""
    naming = {table.name for _, table in tables() if set(_NAMING) & set(table.c.keys())}
    assert naming - KEPT.keys() - CLEANED == set()
    assert KEPT.keys() & CLEANED == set()
    assert (KEPT.keys() | CLEANED) - {table.name for _, table in tables()} == set()


def scattered(platform, captured):
    """Somebody whose data and traces are everywhere, among others; returns the subject."""
    shelf = Shelf(platform, captured)
    shelf.fill(24, builds=1, recipient="research_partner")
    subject = shelf.people[0]
    run_export(platform, captured.caller, "research_partner")
    captured.store(
        [captured.posted("u-0", "profile", "p-1", mobile=VALUES["mobile"]) | {"identity": {"mobile": VALUES["mobile"]}}]
    )
    stated = IdentityKeys("app", "u-0", VALUES["id_number"], None, "female", VALUES["mobile"])
    platform.resolver.link([(subject, stated)], batch=None)
    other = IdentityKeys("his", "x-9", VALUES["id_number"], sex="male")
    platform.resolver.note_doubtful([(other, platform.resolver.resolve_many([other])[0])], batch=None)
    return subject


def traces(platform, subject) -> dict[str, bytes]:
    """Every byte string that only the subject's data give: ciphertexts, wrapped keys, digests, pseudonyms, values."""
    found = {f"value {name}": text.encode() for name, text in VALUES.items() if name != "birth_date"}
    with platform.keys.read() as connection:
        for table, column in (
            (data_key, data_key.c.wrapped),
            (blind_index, blind_index.c.digest),
            (identity_fact, identity_fact.c.digest),
        ):
            for number, one in enumerate(connection.scalars(select(column).where(table.c.subject_id == subject))):
                found[f"{column} {number}"] = one
        doubts = select(doubtful_identity.c.digest).where(doubtful_identity.c.candidates.contains(subject))
        found |= {f"doubt {n}": one for n, one in enumerate(connection.scalars(doubts))}
        names = connection.scalars(select(pseudonym.c.pseudonym).where(pseudonym.c.subject_id == subject))
        found |= {f"pseudonym {n}": one.encode() for n, one in enumerate(names)}
    with platform.data.read() as connection:
        for number, row in enumerate(
            connection.execute(select(sealed_record).where(sealed_record.c.subject_id == subject))
        ):
            found |= {f"payload {number}": row.payload, f"content {number}": row.content_key}
            found[f"record key {number}"] = row.record_key.encode()
    return {name: one for name, one in found.items() if len(one) >= _TELLING_BYTES}


def on_disk(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


def named_in(platform, names: set[str]) -> set[str]:
    """The tables with a row in which one of these names stands."""
    found = set()
    for store, table in tables():
        database = platform.data if store is Store.DATA else platform.keys
        with database.read() as connection:
            for row in connection.execute(select(table)):
                said = b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in row)
                if any(name.encode() in said for name in names):
                    found.add(table.name)
                    break
    return found


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """The temporary folder of this process."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_no_byte_of_the_person_is_left(platform, captured, clock, scratch, caplog):
    """Databases, journals, views, tags, temporary folder and the process's log; others keep what is theirs."""
    caplog.set_level(logging.DEBUG)
    subject = scattered(platform, captured)
    needles = traces(platform, subject)
    before = on_disk(platform.settings.home)
    kinds = {name.split()[0] for name, needle in needles.items() if any(needle in one for one in before.values())}
    assert {"data_key.wrapped", "blind_index.digest", "identity_fact.digest", "doubt", "payload"} <= kinds
    names = {subject, *(needles[name].decode() for name in needles if name.startswith("pseudonym"))}
    clock.advance(timedelta(days=16 * 365))
    erase_subject(platform, ADMIN, subject=subject, reason="request 4711")
    with platform.data.read() as connection:
        assert get_standing(connection, subject).state is Standing.ERASED
        names |= set(connection.scalars(select(alias_table.c.alias).where(alias_table.c.subject_id == subject)))
    rotate_keys(platform, ADMIN)
    platform.eraser.scrub()
    for database in (platform.data, platform.keys):
        database.dispose()
    after = on_disk(platform.settings.home, scratch)
    left = {(name, path.name) for name, needle in needles.items() for path, one in after.items() if needle in one}
    assert left == set()
    assert not any(needle.decode("latin-1") in caplog.text for needle in needles.values())
    assert named_in(platform, names) - KEPT.keys() == set()


def test_no_row_names_the_person_on_postgresql(tmp_path, pg_database, clock):
    """The same walk over every table; bytes on PostgreSQL's disk wait for VACUUM and the end of the epoch."""
    settings = load_settings(home=tmp_path / "home", data_store=pg_database(), key_store=pg_database())
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    opened = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    with open_platform(opened, clock=clock) as platform:
        captured = Captured(platform)
        subject = captured.person("u-0", "P07")
        captured.store([captured.posted("u-0", "profile", "p-1", mobile=VALUES["mobile"])])
        platform.pseudonyms.pseudonyms([subject], scope="view:profile")
        names = {subject, *platform.products.names_of(subject).values()}
        erase_subject(platform, ADMIN, subject=subject, reason="request")
        assert named_in(platform, names) - KEPT.keys() == set()
        assert platform.eraser.scrub() == []


def test_erasures_and_keys_of_nobody_are_not_found(platform):
    """No erasures, or no keys, would be a wrong answer about an id with a mistake in it."""
    nobody = SubjectId("sub_aaaaaaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(NotFound):
        find_erasures(platform, ADMIN, subject=nobody)
    with pytest.raises(NotFound):
        rotate_data(platform, ADMIN, DataKeys(subject=nobody))
