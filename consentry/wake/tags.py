"""Deletes a subject's tags that were made for a purpose that has closed: values, and rows of the runs' files."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from consent.wake import Closing, Outcome, WakeItem
from consentry.packs import pack_folder
from consentry.parsed_packs import read_views
from consentry.stores.builds import Ground
from consentry.stores.tag_values import TagRun
from consentry.wake.parts import WakeParts
from consentry.wake.recheck import is_allowed, is_erasure, is_revision, touches


class TagsHandler:
    """One item for all runs."""

    name: Final = "tags"

    def __init__(self, parts: WakeParts) -> None:
        self._parts = parts

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        """Return one target when there is a run for this purpose."""
        if is_erasure(closing) or closing.recipient:
            return ()
        return ("",) if self._touched(connection, closing) else ()

    def run(self, item: WakeItem) -> Outcome:
        """Delete the tags of every run whose purpose the gate does not allow any more (PIPL 15, 47).

        After a correction all of them go: the next run makes them from what stands (R25).
        """
        subject = item.closing.subject
        with self._parts.data.read() as connection:
            touched = self._touched(connection, item.closing)
        fields = frozenset[str]() if is_revision(item.closing) else self._fields()
        purposes = {ground.purpose for _, ground in touched}
        allowed = {purpose for purpose in purposes if is_allowed(self._parts, subject, purpose, fields=fields)}
        closed = [run for run, ground in touched if ground.purpose not in allowed]
        if touched and not closed:
            return Outcome("granted_again")
        cleared = self._parts.products.clear_tags(self._parts.products.names_of(subject), closed)
        return Outcome(counts={"runs": cleared.files, "values": cleared.rows})

    def _touched(self, connection: Connection, closing: Closing) -> list[tuple[TagRun, Ground]]:
        runs = self._parts.products.runs(connection)
        return [(run, ground) for run, ground in runs if touches(closing, ground.purpose)]

    def _fields(self) -> frozenset[str]:
        """Return what tags are made of and what they are, as a run asks the gate for it."""
        from consentry.workflows.run_tags import EVENTS_VIEW, SUBJECTS_VIEW, TAGS_FIELD

        views = read_views(pack_folder(self._parts.settings.pack), self._parts.catalogue)
        read = [views[name].fields for name in (SUBJECTS_VIEW, EVENTS_VIEW) if name in views]
        return frozenset({TAGS_FIELD}).union(*read) if read else frozenset()
