"""Anchors: what outside parties said of checkpoints, kept beside the log and handed out with it.

A cosignature line of a witness, or an RFC 3161 timestamp. Rows are added and never changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from audit.cosignatures import with_signatures
from audit.events import Act
from audit.origins import FIRST, Origin, current_origin, origins
from audit.tables import anchor, checkpoint, leaf
from audit.verifier import Checkpoint, VerifierKey

_OWN_ENTRIES: Final = 16
"""How many entries about anchoring may follow an anchored head until it counts as grown."""


class AnchorKind(StrEnum):
    """Who said something of a checkpoint."""

    WITNESS = "witness"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What one outside party said of one checkpoint.

    Attributes:
        name: of the party; see ``witness_name``.
        token: a signature line, or a DER timestamp response.
    """

    kind: AnchorKind
    name: str
    token: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Anchored:
    """One checkpoint of the log with everything that was said of it; ``note`` without cosignatures."""

    origin_no: int
    size: int
    note: bytes = field(repr=False)
    anchors: tuple[Anchor, ...]
    at: datetime

    @property
    def cosigned_note(self) -> bytes:
        """The note with the cosignatures under it."""
        return with_signatures(self.note, [one.token for one in self.anchors if one.kind is AnchorKind.WITNESS])


def witness_name(key: VerifierKey) -> str:
    """Return the name that anchors keep of a witness: it tells two keys of one name apart."""
    return f"{key.name}+{key.key_id.hex()}"


def keep_checkpoint(connection: Connection, signed: Checkpoint) -> Checkpoint:
    """Store a signed checkpoint of the current origin where it is not, and return it as it is stored.

    Timestamps are over these very bytes, which differ from others of the same size after a rotation of the key.
    """
    number = current_origin(connection).number
    if connection.scalar(_note_at(number, signed.size)) is None:
        row = {"origin_no": number, "size": signed.size, "root": signed.root, "note": signed.note}
        _insert_missing(connection, checkpoint, [row])
    note = connection.scalar(_note_at(number, signed.size))
    return replace(signed, note=note or signed.note)


def keep_anchors(connection: Connection, size: int, given: Sequence[Anchor], at: datetime) -> list[Anchor]:
    """Store what was said of a checkpoint of the current origin; returns what was not there before.

    What a party said first stays.
    """
    number = current_origin(connection).number
    query = select(anchor.c.kind, anchor.c.name).where(anchor.c.origin_no == number, anchor.c.size == size)
    standing = {(kind, name) for kind, name in connection.execute(query)}
    new = [one for one in given if (one.kind.value, one.name) not in standing]
    if new:
        common = {"origin_no": number, "size": size, "at": at}
        rows = [common | {"kind": one.kind.value, "name": one.name, "token": one.token} for one in new]
        _insert_missing(connection, anchor, rows)
    return new


def cosigned_sizes(connection: Connection) -> dict[str, int]:
    """Return the largest size of the current origin that each witness cosigned, by its name."""
    query = select(anchor.c.name, func.max(anchor.c.size)).where(
        anchor.c.origin_no == current_origin(connection).number, anchor.c.kind == AnchorKind.WITNESS.value
    )
    return {name: int(size) for name, size in connection.execute(query.group_by(anchor.c.name))}


def anchors_at(connection: Connection, origin: Origin, size: int) -> list[Anchor]:
    """Return what was said of one checkpoint, by kind and name."""
    query = select(anchor.c.kind, anchor.c.name, anchor.c.token).where(
        anchor.c.origin_no == origin.number, anchor.c.size == size
    )
    rows = connection.execute(query.order_by(anchor.c.kind, anchor.c.name))
    return [Anchor(AnchorKind(kind), name, token) for kind, name, token in rows]


def cosigned_note(connection: Connection, signed: Checkpoint) -> bytes:
    """Return a checkpoint's note with the stored cosignatures under it, for exports, proofs and answers."""
    given = anchors_at(connection, _origin_named(connection, signed.origin), signed.size)
    return with_signatures(signed.note, [one.token for one in given if one.kind is AnchorKind.WITNESS])


def newest_anchored(connection: Connection, *, limit: int) -> list[Anchored]:
    """Return the checkpoints that something was said of, of all origins, the newest first."""
    heads = (
        select(anchor.c.origin_no, anchor.c.size, func.max(anchor.c.at).label("at"))
        .group_by(anchor.c.origin_no, anchor.c.size)
        .order_by(anchor.c.origin_no.desc(), anchor.c.size.desc())
        .limit(limit)
    )
    known = {one.number: one for one in origins(connection)}
    return [
        Anchored(
            number,
            size,
            connection.scalar(_note_at(number, size)) or b"",
            tuple(anchors_at(connection, known.get(number, Origin(number, 0)), size)),
            at,
        )
        for number, size, at in connection.execute(heads)
    ]


def has_grown(connection: Connection, anchored: int, size: int) -> bool:
    """Say whether entries other than those about anchoring stand between two sizes of the current origin."""
    if size - anchored > _OWN_ENTRIES:
        return True
    base = current_origin(connection).base
    between = leaf.c.leaf_index.between(base + anchored, base + size - 1)
    others = select(func.count()).where(between, leaf.c.act != Act.LOG_ANCHORED.value)
    return bool(connection.scalar(others))


def _origin_named(connection: Connection, name: str) -> Origin:
    return next((one for one in reversed(origins(connection)) if one.name == name), FIRST)


def _insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows that the caller did not find; where writers run side by side, another may have been faster."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def _note_at(number: int, size: int) -> Select[bytes]:
    return select(checkpoint.c.note).where(checkpoint.c.origin_no == number, checkpoint.c.size == size)
