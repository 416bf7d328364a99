"""One person's entries for somebody outside: bytes and proofs, and what shows that each entry is about the person.

Every proof verifies offline (``consentry-verify entry``). That no entry is left out is not proven by them: for that the
whole log is exported, in which everybody who knows the person's aliases can look for them.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from audit.export import check_new_folder
from audit.origins import current_origin
from audit.proofs import EntryProof, prove_entry
from audit.queries import PAGE_MAX, EntryView, Sought, find_page
from audit.tables import cohort, cohort_member
from audit.verifier import Checkpoint
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import EntryId

LIST_FILE: Final = "list.json"
ENTRY_FOLDER: Final = "entries"
COHORT_FOLDER: Final = "cohorts"


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
    connection: Connection,
    sought: Sought,
    signed: Checkpoint,
    *,
    own: Collection[str],
    also: Collection[EntryId] = (),
) -> Iterator[PersonsEntry]:
    """Yield a person's entries below a checkpoint of the current origin, in the log's order, each with its proof.

    Args:
        connection: a read transaction of the data store.
        sought: with a subject; its times narrow the entries.
        signed: what the proofs are under.
        own: the person's aliases.
        also: as in ``audit.queries.find_page``.
    """
    base, after = current_origin(connection).base, sought.after_index
    while True:
        wanted = Sought(
            sought.subject, since=sought.since, until=sought.until, after_index=after, before_index=base + signed.size
        )  # fmt: skip
        page = find_page(connection, wanted, limit=PAGE_MAX, also=also)
        for view in page.entries:
            is_proven = bool(view.body) and view.index >= base
            proof = prove_entry(connection, view.entry_id, signed) if is_proven else None
            members = _cohort_of(connection, view.entry_id)
            yield PersonsEntry(view, _shown(view, members, own), proof, members)
        if page.next_index is None:
            return
        after = page.next_index


def write_bundle(folder: Path, entries: Iterator[PersonsEntry], stated: dict[str, JsonValue]) -> dict[Shown, int]:
    """Write a person's entries into a new folder, and return how many by what shows whom they are about.

    Args:
        folder: new or empty; its parent is there.
        entries: see ``entries_about``.
        stated: what the list says besides, the person's aliases and the checkpoint among it.
    Raises:
        BadInput: the folder holds something already.
    """
    check_new_folder(folder)
    for name in (ENTRY_FOLDER, COHORT_FOLDER):
        (folder / name).mkdir(parents=True)
    listed, counted = list[JsonValue](), dict.fromkeys(Shown, 0)
    for one in entries:
        counted[one.shown] += 1
        listed.append(_written(folder, one))
    text = json.dumps({**stated, "entries": listed}, ensure_ascii=False, indent=1)
    (folder / LIST_FILE).write_text(text + "\n", encoding="utf-8")
    return counted


def _written(folder: Path, one: PersonsEntry) -> dict[str, JsonValue]:
    entry_id = one.view.entry_id
    files: dict[str, JsonValue] = {"entry": None, "proof": None, "cohort": None}
    if one.proof is not None:
        files["entry"], files["proof"] = f"{ENTRY_FOLDER}/{entry_id}.json", f"{ENTRY_FOLDER}/{entry_id}.tlog-proof"
        (folder / str(files["entry"])).write_bytes(one.proof.entry)
        (folder / str(files["proof"])).write_text(one.proof.proof, encoding="utf-8")
    if one.cohort is not None:
        files["cohort"] = f"{COHORT_FOLDER}/{entry_id}.json"
        (folder / str(files["cohort"])).write_text(json.dumps(one.cohort.as_json(), indent=1) + "\n", encoding="utf-8")
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
