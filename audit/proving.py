"""Proving, before a receipt is minted, that entries stand under a signed checkpoint and say what is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import cohort_digest, decode_entry
from audit.events import Act, Outcome
from audit.journal import Journal
from audit.origins import current_origin
from audit.receipts import Binding
from audit.tables import as_bytes, cohort, leaf
from audit.tree import StoredTree
from audit.verifier import Checkpoint, VerificationError, check_inclusion, leaf_hash
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError, Unavailable
from kernel.ids import EntryId, SubjectId, is_id
from kernel.prepared import Prepared

NOT_PROVEN: Final = (ConsentryError, SQLAlchemyError, VerificationError, OSError, ValueError)
"""What can go wrong on the way to a proof."""


class LogUnavailable(Unavailable):
    """An access cannot be shown to be logged; nothing is opened."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a receipt is wanted for: a permit's entry, and what it must say."""

    entry_id: EntryId
    binding: Binding


def prove_claims(
    database: Database, claims: Sequence[Claim], signed: Checkpoint, journal: Journal
) -> list[int | LogUnavailable]:
    """Return each entry's index, after proving its stored bytes under the signed root and comparing what they say.

    One snapshot and one reading of the tree serve all; what is wrong with one claim is no other's affair.
    """
    with database.read() as connection:
        origin = current_origin(connection)
        tree = StoredTree(connection, origin)
        return [_proven(connection, claim, signed, journal, tree) for claim in claims]


def _proven(
    connection: Connection, claim: Claim, signed: Checkpoint, journal: Journal, tree: StoredTree
) -> int | LogUnavailable:
    try:
        return _check_entry(connection, claim, signed, journal, tree)
    except NOT_PROVEN as err:
        return not_proven(claim.entry_id, err)


def not_proven(entry_id: EntryId, err: Exception) -> LogUnavailable:
    """Return the error for an entry that is not shown to be logged, because of another error."""
    if isinstance(err, LogUnavailable):
        return err
    cause = err.message if isinstance(err, ConsentryError) else type(err).__name__
    return LogUnavailable(f"Entry {entry_id} is not proven to be logged: {cause}", hint="Nothing was opened.")


def _check_entry(connection: Connection, claim: Claim, signed: Checkpoint, journal: Journal, tree: StoredTree) -> int:
    entry_id = claim.entry_id
    rows = _ENTRY.rows(connection, entry_id=entry_id)
    if not rows:
        raise LogUnavailable(
            f"Entry {entry_id} is not in the log", hint="Commit the permit before asking for its receipt."
        )
    place, stored = rows[0]
    index, body = int(place) - tree.origin.base, as_bytes(stored)
    proof = tree.inclusion_proof(index, signed.size)
    check_inclusion(index, signed.size, leaf_hash(body), proof, signed.root)
    _check_permit(connection, entry_id, decode_entry(body), claim.binding, journal)
    return index


def _check_permit(
    connection: Connection, entry_id: EntryId, entry: Mapping[str, JsonValue], binding: Binding, journal: Journal
) -> None:
    fields = entry.get("fields", ())
    differing = {
        "entry": entry.get("id") != entry_id,
        "act": (entry.get("act"), entry.get("outcome")) != (Act.PERMIT.value, Outcome.ALLOWED.value),
        "actor": not _is_actor(connection, entry.get("actor"), binding.actor, journal),
        "purpose": entry.get("purpose") != binding.purpose,
        "fields": not isinstance(fields, Sequence) or not binding.fields.issubset(set(fields)),
        "subjects": _entry_subjects(connection, entry_id, entry, journal) != binding.subjects,
    }
    parts = ", ".join(part for part, differs in differing.items() if differs)
    if parts:
        raise LogUnavailable(
            f"Entry {entry_id} does not permit this access: {parts} differ", hint="Nothing was opened."
        )


def _is_actor(connection: Connection, logged: JsonValue, actor: str, journal: Journal) -> bool:
    if is_id(actor, "sub"):
        return isinstance(logged, str) and journal.find_subject(connection, logged) == actor
    return logged == actor


def _entry_subjects(
    connection: Connection, entry_id: EntryId, entry: Mapping[str, JsonValue], journal: Journal
) -> frozenset[SubjectId] | None:
    """Return the subjects that the entry's alias or cohort digest stands for; None when they cannot be told."""
    alias, members = entry.get("subject"), entry.get("cohort")
    subjects: set[SubjectId] = set()
    if isinstance(alias, str):
        subject = journal.find_subject(connection, alias)
        subjects.update(() if subject is None else (subject,))
    if isinstance(members, Mapping):
        found = journal.cohort_subjects(connection, entry_id)
        salt = connection.scalar(select(cohort.c.salt).where(cohort.c.entry_id == entry_id))
        if salt is None or members != {"size": len(found), "digest": cohort_digest(salt, found.values())}:
            return None
        subjects.update(found)
    return frozenset(subjects) or None


_ENTRY: Final = Prepared(select(leaf.c.leaf_index, leaf.c.body).where(leaf.c.entry_id == bindparam("entry_id")))
