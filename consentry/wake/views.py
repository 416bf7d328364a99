"""Takes a subject out of the builds of a view whose purpose has closed: superseded ones as well as the newest."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from consent.wake import Closing, Outcome, WakeItem
from consentry.stores.builds import Ground, ViewBuild
from consentry.wake.parts import WakeParts
from consentry.wake.recheck import counted, is_allowed, is_erasure, is_revision, people_of, touches


class ViewsHandler:
    """One item a view."""

    name: Final = "views"

    def __init__(self, parts: WakeParts) -> None:
        self._parts = parts

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        """Return the views with builds for this purpose; what one recipient may not get stays in them.

        Where some fields were revised it is those that read one of them, and those that the pack has dropped.
        """
        if is_erasure(closing) or closing.recipient:
            return ()
        views = {build.view for build, _ in self._touched(connection, closing)}
        if closing.fields:
            views = {view for view in views if not closing.fields.isdisjoint(self._fields(view) or closing.fields)}
        return sorted(views)

    def run(self, item: WakeItem) -> Outcome:
        """Rewrite the builds that the gate does not allow any more.

        A row holds every field of its view; so it stays only where all of them still pass, and what may be used of
        the rest comes back with the next build. After a revision every row goes, and comes back with what stands; those
        of everybody else whose records were revised go with them, for a file is written whole.
        """
        subject = item.closing.subject
        with self._parts.data.read() as connection:
            touched = [(b, g) for b, g in self._touched(connection, item.closing) if b.view == item.target]
        fields = frozenset[str]() if is_revision(item.closing) else self._fields(item.target)
        purposes = {ground.purpose for _, ground in touched}
        allowed = {purpose for purpose in purposes if is_allowed(self._parts, subject, purpose, fields=fields)}
        closed = [build for build, ground in touched if ground.purpose not in allowed]
        if touched and not closed:
            return Outcome("granted_again")
        people = people_of(self._parts, item)
        cleared = self._parts.products.clear_views(people, closed)
        return Outcome(counts={"builds": cleared.files, "rows": cleared.rows} | counted(people))

    def _touched(self, connection: Connection, closing: Closing) -> list[tuple[ViewBuild, Ground]]:
        builds = self._parts.products.builds(connection)
        return [(build, ground) for build, ground in builds if touches(closing, ground.purpose)]

    def _fields(self, view: str) -> frozenset[str]:
        """Return the fields that the pack's view reads; none where the pack has dropped the view."""
        return self._parts.view_fields.get(view, frozenset())
