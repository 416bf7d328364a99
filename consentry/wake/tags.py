"""Deletes a subject's tags that were made for a purpose that has closed: values, and rows of the runs' files."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from consent.wake import Closing, Outcome, WakeItem
from consentry.stores.builds import Ground
from consentry.stores.tag_values import TagRun
from consentry.wake.parts import WakeParts
from consentry.wake.recheck import counted, is_allowed, is_erasure, is_revision, people_of, touches


class TagsHandler:
    """One item for all runs."""

    name: Final = "tags"

    def __init__(self, parts: WakeParts) -> None:
        self._parts = parts

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        """Return one target when there is a run for this purpose, and of revised fields one that a run reads."""
        if is_erasure(closing) or closing.recipient:
            return ()
        is_derived = bool(self._touched(connection, closing))
        if is_derived and closing.fields:
            is_derived = not closing.fields.isdisjoint(self._fields() or closing.fields)
        return ("",) if is_derived else ()

    def run(self, item: WakeItem) -> Outcome:
        """Delete the tags of every run whose purpose the gate does not allow any more (PIPL 15, 47).

        After a revision all of them go: the next run makes them from what stands (R25); those of everybody else whose
        records were revised go with them, for a file is written whole.
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
        people = people_of(self._parts, item)
        cleared = self._parts.products.clear_tags(people, closed)
        return Outcome(counts={"runs": cleared.files, "values": cleared.rows} | counted(people))

    def _touched(self, connection: Connection, closing: Closing) -> list[tuple[TagRun, Ground]]:
        runs = self._parts.products.runs(connection)
        return [(run, ground) for run, ground in runs if touches(closing, ground.purpose)]

    def _fields(self) -> frozenset[str]:
        """Return what tags are made of and what they are, as a run asks the gate for it."""
        from consentry.workflows.run_tags import EVENTS_VIEW, SUBJECTS_VIEW, TAGS_FIELD

        views = self._parts.view_fields
        read = [views[name] for name in (SUBJECTS_VIEW, EVENTS_VIEW) if name in views]
        return frozenset({TAGS_FIELD}).union(*read) if read else frozenset()
