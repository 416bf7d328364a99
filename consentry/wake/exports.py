"""Recalls releases that hold a subject whose decision for their purpose and recipient has closed."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from consent.wake import Closing, Outcome, WakeItem, system_asking
from consentry.packs import pack_folder
from consentry.parsed_packs import read_exports
from consentry.stores.builds import Ground, Release
from consentry.wake.parts import WakeParts
from consentry.wake.recheck import is_allowed, is_erasure, is_revision, touches


class ExportsHandler:
    """One item for all releases."""

    name: Final = "exports"

    def __init__(self, parts: WakeParts) -> None:
        self._parts = parts

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        """Return one target when we hold a release for this purpose and recipient; a correction recalls nothing."""
        if is_erasure(closing) or is_revision(closing):
            return ()
        return ("",) if self._touched(connection, closing) else ()

    def run(self, item: WakeItem) -> Outcome:
        """Delete our copy of each release that the gate does not allow any more, and log whom to tell.

        The outcome names each release and its recipient. What the recipient did with its copy is its own duty; where
        a webhook is registered for it, another handler tells it.
        """
        closing = item.closing
        with self._parts.data.read() as connection:
            touched = self._touched(connection, closing)
        closed = [release for release, ground in touched if not self._is_allowed(item, release, ground)]
        if touched and not closed:
            return Outcome("granted_again")
        products = self._parts.products
        refs = {"closing": closing.entry_id}
        recalled = products.recall(products.names_of(closing.subject), closed, system_asking(), refs=refs)
        named = {f"recalled_{n}": f"{one.export_id} {one.recipient}" for n, one in enumerate(recalled[:_NAMED], 1)}
        return Outcome(counts={"recalled": len(recalled)}, refs=named)

    def _touched(self, connection: Connection, closing: Closing) -> list[tuple[Release, Ground]]:
        return [
            (release, ground)
            for release, ground in self._parts.products.held_releases(connection)
            if touches(closing, ground.purpose) and closing.recipient in ("", release.recipient)
        ]

    def _is_allowed(self, item: WakeItem, release: Release, ground: Ground) -> bool:
        from consentry.workflows.run_tags import TAGS_FIELD

        known = read_exports(pack_folder(self._parts.settings.pack), self._parts.catalogue)
        if release.definition not in known:
            return False
        fields = known[release.definition].fields | {TAGS_FIELD}
        return is_allowed(self._parts, item.closing.subject, ground.purpose, fields=fields, recipient=release.recipient)


_NAMED: Final = 40
"""Releases that an outcome names; an entry holds 16 KiB, and each has an entry of its own."""
