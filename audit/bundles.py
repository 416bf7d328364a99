"""One person's entries for somebody outside: bytes and proofs, and what shows that each entry is about the person.

Every proof verifies offline (``consentry-verify entry``). That no entry is left out is not proven by them: for that the
whole log is exported, in which everybody who knows the person's aliases can look for them. A bundle names the person:
its files are their owner's alone.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from audit.export import check_new_folder
from audit.handouts import make_folder, sync_below, write_file
from audit.origins import current_origin
from audit.proofs import EntryProof, prove_entry, write_proof_files
from audit.queries import EntryView, Page, Sought, find_page
from audit.retention import unpruned
from audit.tables import cohort, cohort_member
from audit.verifier import Checkpoint
from kernel.clock import format_instant
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import Unavailable
from kernel.ids import EntryId

LIST_FILE: Final = "list.json"
ENTRY_FOLDER: Final = "entries"
COHORT_FOLDER: Final = "cohorts"

_PAGE: Final = 512
"""Entries that are found and proven in one read transaction; they are written when it is over."""


class Shown(StrEnum):
    """What shows that an entry is about the person."""

    ALIAS = "alias"
    COHORT = "cohort"
    REGISTER = "register"


@dataclass(frozen=True, slots=True)
class Cohort:
    """What the digest of an entry's cohort is made of: who has both can make it again."""

    salt: bytes = field(repr=False)
    aliases: tuple[str, ...] = field(repr=False)

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for whoever makes the digest again; see docs/reference/audit-format.md, "Cohorts"."""
        return {"salt": self.salt.hex(), "aliases": list(self.aliases)}


@dataclass(frozen=True, slots=True)
class PersonsEntry:
    """One entry about the person.

    Attributes:
        shown: by an alias in its bytes, by its cohort's digest, or by the register alone (checks of large cohorts).
        proof: None where its bytes were pruned, or it stands in an earlier origin, which its own export proves.
    """

    view: EntryView
    shown: Shown
    proof: EntryProof | None
    cohort: Cohort | None


def entries_about(
    database: Database,
    sought: Sought,
    signed: Checkpoint,
    *,
    own: Collection[str],
    also: Collection[EntryId] = (),
) -> Iterator[PersonsEntry]:
    """Yield a person's entries below a checkpoint of the current origin, in the log's order, each with its proof.

    They are read page by page, each in a transaction of its own, so that no writer waits for them.

    Args:
        database: the data store.
        sought: with a subject; its times narrow the entries.
        signed: what the proofs are under.
        own: the person's aliases.
        also: as in ``audit.queries.find_page``.
    Raises:
        Conflict: after the last one, where the log was pruned meanwhile.
    """
    with unpruned(database):
        with database.read() as connection:
            base = current_origin(connection).base
        wanted: Sought | None = replace(sought, before_index=base + signed.size, newest_first=False)
        while wanted is not None:
            with database.read() as connection:
                page = find_page(connection, wanted, limit=_PAGE, also=also)
                entries = [_proven(connection, view, signed, base, own) for view in page.entries]
            yield from entries
            wanted = _following(wanted, page)


def _following(wanted: Sought, page: Page) -> Sought | None:
    return None if page.next_index is None else replace(wanted, after_index=page.next_index)


def _proven(
    connection: Connection, view: EntryView, signed: Checkpoint, base: int, own: Collection[str]
) -> PersonsEntry:
    is_proven = bool(view.body) and view.index >= base
    proof = prove_entry(connection, view.entry_id, signed) if is_proven else None
    members = _cohort_of(connection, view.entry_id)
    return PersonsEntry(view, _shown(view, members, own), proof, members)


def write_bundle(folder: Path, entries: Iterator[PersonsEntry], stated: dict[str, JsonValue]) -> dict[Shown, int]:
    """Write a person's entries into a new folder, and return how many by what shows whom they are about.

    Args:
        folder: new or empty; its parent is there.
        entries: see ``entries_about``.
        stated: what the list says besides, the person's aliases and the checkpoint among it.
    Raises:
        BadInput: the folder holds something already.
        Unavailable: it cannot be written.
    """
    try:
        check_new_folder(folder)
        for name in (ENTRY_FOLDER, COHORT_FOLDER):
            make_folder(folder / name)
        listed, counted = list[JsonValue](), dict.fromkeys(Shown, 0)
        for one in entries:
            counted[one.shown] += 1
            listed.append(_written(folder, one))
        text = json.dumps({**stated, "entries": listed}, ensure_ascii=False, indent=1)
        write_file(folder / LIST_FILE, [text.encode(), b"\n"])
        sync_below(folder)
    except OSError as err:
        raise Unavailable(f"The bundle cannot be written: {err.strerror}", hint="Name another folder.") from None
    return counted


def _written(folder: Path, one: PersonsEntry) -> dict[str, JsonValue]:
    entry_id = one.view.entry_id
    files: dict[str, JsonValue] = {"entry": None, "proof": None, "cohort": None}
    if one.proof is not None:
        paths = write_proof_files(folder / ENTRY_FOLDER, one.proof)
        files["entry"], files["proof"] = (f"{ENTRY_FOLDER}/{path.name}" for path in paths)
    if one.cohort is not None:
        files["cohort"] = f"{COHORT_FOLDER}/{entry_id}.json"
        write_file(folder / str(files["cohort"]), [json.dumps(one.cohort.as_json(), indent=1).encode(), b"\n"])
    told: dict[str, JsonValue] = {
        "index": one.view.index,
        "id": entry_id,
        "at": format_instant(one.view.at),
        "act": one.view.members.get("act"),
        "shown_by": one.shown.value,
        "pruned": not one.view.body,
    }
    return told | files


def _cohort_of(connection: Connection, entry_id: EntryId) -> Cohort | None:
    salt = connection.scalar(select(cohort.c.salt).where(cohort.c.entry_id == entry_id))
    if salt is None:
        return None
    names = select(cohort_member.c.alias).where(cohort_member.c.entry_id == entry_id).order_by(cohort_member.c.alias)
    return Cohort(bytes(salt), tuple(connection.scalars(names)))


def _shown(view: EntryView, members: Cohort | None, own: Collection[str]) -> Shown:
    if view.members.get("subject") in own:
        return Shown.ALIAS
    return Shown.COHORT if members is not None and set(own) & set(members.aliases) else Shown.REGISTER
