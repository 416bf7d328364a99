"""Webhook targets compared with the log: whom a withdrawal is told, and at which address."""

from sqlalchemy import Connection

from audit.events import Act
from audit.scanning import ScannedEntry, entries_of
from consent.inspection import Findings
from consentry.stores.webhooks import WebhookTarget, list_targets
from consentry.webhooks import ADDRESS_MARK, address_mark
from kernel.ports import Sealer


def inspect_webhooks(connection: Connection, found: Findings, sealer: Sealer) -> None:
    """Compare every target with its entries, both ways; the address where the entry bears its mark."""
    added: dict[str, ScannedEntry] = {}
    disabled: set[str] = set()
    for entry in entries_of(connection, [Act.WEBHOOK_RECORDED.value]):
        target_id, change = str(entry.refs.get("webhook")), entry.refs.get("change")
        if change == "added":
            added.setdefault(target_id, entry)
        elif change == "disabled":
            disabled.add(target_id)
    targets = list_targets(connection)
    found.read("webhooks", len(targets))
    for target in targets:
        differs = _differing(target, added.get(target.target_id), sealer)
        is_told = target.is_enabled is (target.target_id not in disabled)
        found.add("webhook", target.target_id, differs if is_told else [*differs, "disabled_at"])
    for target_id in added.keys() - {target.target_id for target in targets}:
        found.add("webhook", target_id, ["no row"])


def _differing(target: WebhookTarget, entry: ScannedEntry | None, sealer: Sealer) -> list[str]:
    if entry is None:
        return ["no entry"]
    differs = [] if entry.members.get("recipient") == target.recipient else ["recipient"]
    said = entry.refs.get(ADDRESS_MARK)
    return differs if said in (None, address_mark(target, sealer)) else [*differs, "url"]
