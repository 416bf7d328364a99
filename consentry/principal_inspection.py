"""Who may call, compared with the log: every account and key with the entries that made and disabled it, both ways.

Name and hash of the secret stand in the log as marks that nobody without the key store can make, so that neither two
accounts can be exchanged nor a password be put in another's place. Entries that are older than these marks say
nothing of name, secret, end and cap; after the first that says it, each has to. An entry without sources is of an
account that is bound to none, whether it is older than they are or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from audit.events import Act
from audit.scanning import ScannedEntry, entries_of
from consent.inspection import Findings
from consentry.stores.tables import principal
from kernel.clock import format_instant
from kernel.ports import Sealer


@dataclass
class _Told:
    """What the entries say so far.

    Attributes:
        is_marked: whether an entry bore marks already.
    """

    created: dict[str, ScannedEntry] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    wanting: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    is_marked: bool = False

    def hear(self, entry: ScannedEntry) -> None:
        """Take the next entry in."""
        name = str(entry.refs.get("principal"))
        if entry.members.get("act") == Act.PRINCIPAL_DISABLED.value:
            self.disabled.add(name)
            return
        if name in self.created:
            self.twice.add(name)
            return
        self.created[name] = entry
        self.is_marked = self.is_marked or _NAME in entry.refs
        if self.is_marked:
            self.wanting.add(name)


def stated_refs(row: Row[*tuple[Any, ...]], sealer: Sealer) -> dict[str, str]:
    """Return what the entry of a new principal says of its row, beside kind, role, processor and sources."""
    texts = [f"principal {row.principal_id} name {row.name}", f"principal {row.principal_id} secret {row.secret_hash}"]
    name, secret = (mark[:_MARK_BYTES].hex() for mark in sealer.mark_texts(texts))
    return {
        _NAME: name,
        "secret_mark": secret,
        "expires_at": NONE if row.expires_at is None else format_instant(row.expires_at),
        "subjects_per_day": NONE if row.subjects_per_day is None else str(row.subjects_per_day),
    }


def inspect_principals(connection: Connection, found: Findings, sealer: Sealer) -> None:
    """Compare every principal's row with its entries; hold one snapshot for all of them."""
    told = _Told()
    for entry in entries_of(connection, [Act.PRINCIPAL_CREATED.value, Act.PRINCIPAL_DISABLED.value]):
        told.hear(entry)
    rows = connection.execute(select(principal).order_by(principal.c.principal_id)).all()
    found.read("principals", len(rows))
    for row in rows:
        found.add("principal", row.principal_id, _differing(row, told, sealer))
    for name in told.created.keys() - {row.principal_id for row in rows}:
        found.add("principal", name, ["no row"])


def _differing(row: Row[*tuple[Any, ...]], told: _Told, sealer: Sealer) -> list[str]:
    entry = told.created.get(row.principal_id)
    if entry is None:
        return ["no entry"]
    said: Mapping[str, object] = {
        "kind": entry.refs.get("kind"),
        "role": entry.refs.get("role"),
        "processor": entry.members.get("recipient"),
        "sources": entry.refs.get("sources"),
        "disabled": row.principal_id in told.disabled,
    }
    differs = [name for name, value in said.items() if getattr(row, name) != value]
    if row.principal_id in told.wanting:
        stated = stated_refs(row, sealer)
        differs += [name.removesuffix("_mark") for name, value in stated.items() if entry.refs.get(name) != value]
    return differs + (["entry twice"] if row.principal_id in told.twice else [])


NONE: Final = "none"
"""An end or a cap that there is not."""

_NAME: Final = "name_mark"
_MARK_BYTES: Final = 16
