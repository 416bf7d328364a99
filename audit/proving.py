"""Proving, before a receipt is minted, that entries stand under a signed checkpoint and say what is asked."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import ARRAY, Connection, String, any_, bindparam, func, select
from sqlalchemy.exc import SQLAlchemyError

from audit.entries import cohort_digest, decode_entry
from audit.events import Act, Outcome
from audit.journal import Journal
from audit.origins import current_origin
from audit.receipts import Binding
from audit.tables import as_bytes, cohort, leaf
from audit.tree import StoredTree
from audit.verifier import Checkpoint, VerificationError, check_inclusion, leaf_hash
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError, IntegrityFailed, Unavailable
from kernel.ids import EntryId, SubjectId, is_id
from kernel.prepared import Prepared

_T = TypeVar("_T")
_P = ParamSpec("_P")

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
    connection: Connection, claims: Sequence[Claim], signed: Checkpoint, journal: Journal
) -> list[int | LogUnavailable]:
    """Return each entry's index, after proving its stored bytes under the signed root and comparing what they say.

    One snapshot and one reading of the tree serve all; what is wrong with one claim is no other's affair.

    Args:
        connection: of a snapshot that was begun after the signature.
        claims: what receipts are wanted for.
        signed: a checkpoint that covers the entries.
        journal: knows whose the names are.
    """
    stored = _stored(connection, claims)
    tree = StoredTree(connection, current_origin(connection))
    proven = [_tried(_check_entry, claim, stored, signed, tree) for claim in claims]
    beside = _Beside(connection, journal, journal.find_subjects(connection, _aliases(proven)))
    return [
        said if isinstance(said, LogUnavailable) else _tried(_permitted, claim, said, beside)
        for claim, said in zip(claims, proven, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Proven:
    """An entry that stands under the signed root, and what its bytes say."""

    index: int
    members: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class _Beside:
    """What lies beside the entries: whose their names are."""

    connection: Connection
    journal: Journal
    names: Mapping[str, SubjectId | IntegrityFailed]

    def subject_of(self, alias: str) -> SubjectId | None:
        """Return whose name it is; None for nobody's. Raises ``IntegrityFailed`` where it was moved or made by hand."""
        found = self.names.get(alias)
        if isinstance(found, IntegrityFailed):
            raise found
        return found


def _tried(
    check: Callable[Concatenate[Claim, _P], _T], claim: Claim, *args: _P.args, **kwargs: _P.kwargs
) -> _T | LogUnavailable:
    try:
        return check(claim, *args, **kwargs)
    except NOT_PROVEN as err:
        return not_proven(claim.entry_id, err)


def _stored(connection: Connection, claims: Sequence[Claim]) -> dict[str, tuple[int, bytes]]:
    dialect = connection.dialect.name
    wanted = [claim.entry_id for claim in claims]
    rows = _ENTRIES[dialect].rows(connection, ids=json.dumps(wanted) if dialect == "sqlite" else wanted)
    return {entry_id: (int(place), as_bytes(body)) for entry_id, place, body in rows}


def _aliases(proven: Sequence[_Proven | LogUnavailable]) -> set[str]:
    named = [said.members.get("subject") for said in proven if isinstance(said, _Proven)]
    return {alias for alias in named if isinstance(alias, str)}


def not_proven(entry_id: EntryId, err: Exception) -> LogUnavailable:
    """Return the error for an entry that is not shown to be logged, because of another error."""
    if isinstance(err, LogUnavailable):
        return err
    cause = err.message if isinstance(err, ConsentryError) else type(err).__name__
    return LogUnavailable(f"Entry {entry_id} is not proven to be logged: {cause}", hint="Nothing was opened.")


def _check_entry(
    claim: Claim, stored: Mapping[str, tuple[int, bytes]], signed: Checkpoint, tree: StoredTree
) -> _Proven:
    entry_id = claim.entry_id
    if entry_id not in stored:
        raise LogUnavailable(
            f"Entry {entry_id} is not in the log", hint="Commit the permit before asking for its receipt."
        )
    place, body = stored[entry_id]
    index = place - tree.origin.base
    check_inclusion(index, signed.size, leaf_hash(body), tree.inclusion_proof(index, signed.size), signed.root)
    return _Proven(index, decode_entry(body))


def _permitted(claim: Claim, proven: _Proven, beside: _Beside) -> int:
    """Return the entry's index; raises unless it says what is claimed."""
    entry_id, binding, entry = claim.entry_id, claim.binding, proven.members
    fields = entry.get("fields", ())
    differing = {
        "entry": entry.get("id") != entry_id,
        "act": (entry.get("act"), entry.get("outcome")) != (Act.PERMIT.value, Outcome.ALLOWED.value),
        "actor": not _is_actor(entry.get("actor"), binding.actor, beside),
        "purpose": entry.get("purpose") != binding.purpose,
        "fields": not isinstance(fields, Sequence) or not binding.fields.issubset(set(fields)),
        "subjects": _entry_subjects(entry_id, entry, beside) != binding.subjects,
    }
    parts = ", ".join(part for part, differs in differing.items() if differs)
    if parts:
        raise LogUnavailable(
            f"Entry {entry_id} does not permit this access: {parts} differ", hint="Nothing was opened."
        )
    return proven.index


def _is_actor(logged: JsonValue, actor: str, beside: _Beside) -> bool:
    if is_id(actor, "sub"):
        return isinstance(logged, str) and beside.journal.find_subject(beside.connection, logged) == actor
    return logged == actor


def _entry_subjects(entry_id: EntryId, entry: Mapping[str, JsonValue], beside: _Beside) -> frozenset[SubjectId] | None:
    """Return the subjects that the entry's alias or cohort digest stands for; None when they cannot be told."""
    alias, members = entry.get("subject"), entry.get("cohort")
    subjects: set[SubjectId] = set()
    if isinstance(alias, str):
        subject = beside.subject_of(alias)
        subjects.update(() if subject is None else (subject,))
    if isinstance(members, Mapping):
        found = beside.journal.cohort_subjects(beside.connection, entry_id)
        salt = beside.connection.scalar(select(cohort.c.salt).where(cohort.c.entry_id == entry_id))
        if salt is None or members != {"size": len(found), "digest": cohort_digest(salt, found.values())}:
            return None
        subjects.update(found)
    return frozenset(subjects) or None


_WANTED: Final = func.json_each(bindparam("ids")).table_valued("value")
_STORED: Final = select(leaf.c.entry_id, leaf.c.leaf_index, leaf.c.body)
_ENTRIES: Final = {
    "sqlite": Prepared(_STORED.where(leaf.c.entry_id.in_(select(_WANTED.c.value)))),
    "postgresql": Prepared(_STORED.where(leaf.c.entry_id == any_(bindparam("ids", type_=ARRAY(String))))),
}
