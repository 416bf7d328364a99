"""Recovery after a loss: a new origin with a tree of its own, whose first entry commits to what is known of the old.

The entries that survived stay where they are; their root is in the first entry, so that the new key vouches for them.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, insert, select

from audit.events import Act, Event, Outcome
from audit.journal import Journal
from audit.origins import Origin, current_origin
from audit.sequencer import Head, append_entries
from audit.tables import checkpoint, leaf
from audit.tables import origin as origin_table
from audit.verifier import Checkpoint, CompactRange, VerificationError, VerifierKey, open_checkpoint
from kernel.errors import BadInput
from kernel.ids import EntryId, RequestId

_READ_SIZE: Final = 2_048
_SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Recovery:
    """Who opens a new origin, under which name, and why.

    Attributes:
        accepted_by: ids of the two people.
        last_known: the newest checkpoint of the old origin that anybody has; None where nobody has any.
        cosigned_by: names of witnesses that cosigned it.
    """

    actor: str
    role: str
    request_id: RequestId
    origin_name: str
    reason: str
    accepted_by: tuple[str, str]
    last_known: Checkpoint | None
    cosigned_by: tuple[str, ...] = ()


def open_origin(connection: Connection, journal: Journal, recovery: Recovery) -> EntryId:
    """Open a new origin in the caller's transaction; its first entry stands at once, what waits follows it.

    Raises:
        BadInput: the name is that of an origin that was there before.
    """
    before = current_origin(connection)
    if recovery.origin_name in {before.name, recovery.last_known.origin if recovery.last_known else None}:
        raise BadInput("A new origin needs a new name", hint="Give the new signing key another name.")
    last = connection.scalar(select(func.max(leaf.c.leaf_index)))
    base = 0 if last is None else int(last) + 1
    following = Origin(before.number + 1, base, recovery.origin_name)
    survived = _surviving_root(connection, before.base, base)
    (entry,) = journal.encode(connection, [_event(recovery, base - before.base, survived)])
    row = {"origin_no": following.number, "name": following.name, "base": base, "entry_id": entry.entry_id}
    connection.execute(insert(origin_table), row | {"at": entry.at})
    _keep_checkpoint(connection, before.number, recovery.last_known)
    append_entries(connection, Head(following, CompactRange(), None), [entry])
    return EntryId(entry.entry_id)


def has_notes(connection: Connection) -> bool:
    """Say whether the store holds checkpoints of the current origin."""
    number = current_origin(connection).number
    return connection.scalar(select(checkpoint.c.size).where(checkpoint.c.origin_no == number).limit(1)) is not None


def newest_stored(connection: Connection, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    """Return the largest stored checkpoint of the current origin that one of these keys signed; None without one.

    What does not verify is passed over: a note that somebody spoiled must not stand in the way of a recovery.
    """
    number = current_origin(connection).number
    notes = select(checkpoint.c.note).where(checkpoint.c.origin_no == number).order_by(checkpoint.c.size.desc())
    for note in connection.execution_options(yield_per=_READ_SIZE).scalars(notes):
        for key in keys:
            with suppress(VerificationError):
                return open_checkpoint(note, key)
    return None


def _keep_checkpoint(connection: Connection, number: int, last_known: Checkpoint | None) -> None:
    """Keep the old origin's last checkpoint with the log: every export shows by it what was lost."""
    if last_known is None:
        return
    same = checkpoint.c.origin_no == number, checkpoint.c.size == last_known.size
    if connection.scalar(select(checkpoint.c.size).where(*same)) is None:
        row = {"origin_no": number, "size": last_known.size, "root": last_known.root, "note": last_known.note}
        connection.execute(insert(checkpoint), row)


def _surviving_root(connection: Connection, base: int, end: int) -> bytes:
    """Return the root over the leaf hashes of the old origin that are still there."""
    tree = CompactRange()
    for first in range(base, end, _READ_SIZE):
        within = leaf.c.leaf_index.between(first, min(first + _READ_SIZE, end) - 1)
        for hashed in connection.scalars(select(leaf.c.leaf_hash).where(within).order_by(leaf.c.leaf_index)):
            tree.append(hashed)
    return tree.root()


def _event(recovery: Recovery, survived: int, root: bytes) -> Event:
    """Return the first entry: sizes and roots of what was signed and of what survived; the reason sealed beside it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.sha256(b"consentry recovery reason v1\n" + salt + recovery.reason.encode()).hexdigest()
    counts = {"surviving_size": survived}
    refs = {
        "surviving_root": _text(root),
        "reason_digest": digest,
        "cosigned_by": ", ".join(recovery.cosigned_by) or "unwitnessed",
        "accepted_by_1": recovery.accepted_by[0],
        "accepted_by_2": recovery.accepted_by[1],
    }
    if recovery.last_known is not None:
        counts["previous_size"] = recovery.last_known.size
        refs |= {"previous_origin": recovery.last_known.origin, "previous_root": _text(recovery.last_known.root)}
    return Event(
        Act.LOG_RECOVERED, Outcome.DONE, recovery.actor, recovery.role, recovery.request_id,
        counts=counts, refs=refs, details={"reason": recovery.reason, "salt": salt.hex()},
    )  # fmt: skip


def check_reason(details: Mapping[str, object], digest: str) -> bool:
    """Say whether sealed details hold the reason to which an entry commits."""
    salt, reason = str(details.get("salt", "")), str(details.get("reason", ""))
    told = b"consentry recovery reason v1\n" + bytes.fromhex(salt) + reason.encode()
    return hashlib.sha256(told).hexdigest() == digest


def _text(root: bytes) -> str:
    return base64.b64encode(root).decode()
