"""Who may call, compared with the log: every account and key with the entries that made and disabled it, both ways.

What the log does not say is not compared: names, hashes of secrets, ends and caps.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from audit.events import Act
from audit.scanning import ScannedEntry, entries_of
from consent.inspection import Findings
from consentry.stores.tables import principal


def inspect_principals(connection: Connection, found: Findings) -> None:
    """Compare every principal's row with its entries; hold one snapshot for all of them."""
    created: dict[str, ScannedEntry] = {}
    disabled: set[str] = set()
    for entry in entries_of(connection, [Act.PRINCIPAL_CREATED.value, Act.PRINCIPAL_DISABLED.value]):
        name = str(entry.refs.get("principal"))
        if entry.members.get("act") == Act.PRINCIPAL_CREATED.value:
            created[name] = entry
        else:
            disabled.add(name)
    rows = connection.execute(select(principal).order_by(principal.c.principal_id)).all()
    found.read("principals", len(rows))
    for row in rows:
        told = created.pop(row.principal_id, None)
        is_disabled = row.principal_id in disabled
        found.add(
            "principal",
            row.principal_id,
            ["no entry"] if told is None else _differing(row, told, is_disabled=is_disabled),
        )
    for name in created:
        found.add("principal", name, ["no row"])


def _differing(row: Row[*tuple[Any, ...]], told: ScannedEntry, *, is_disabled: bool) -> list[str]:
    said: Mapping[str, object] = {
        "kind": told.refs.get("kind"),
        "role": told.refs.get("role"),
        "processor": told.members.get("recipient"),
        "disabled": is_disabled,
    }
    return [name for name, value in said.items() if getattr(row, name) != value]
