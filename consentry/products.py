"""What was made of a subject outside the vault: view rows, tags, exports; and how each can be taken back."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from audit.log import AuditLog
from consent.asking import Asking
from consent.cohort_store import forget_verdicts
from consentry.layout import Layout
from consentry.principals import forget_touched
from consentry.rewriting import Cleared, holds, rewrite_build, rewrite_without, rewriting
from consentry.stores.acts import forget_answers
from consentry.stores.approvals import forget_approvals
from consentry.stores.builds import (
    Ground,
    Release,
    ViewBuild,
    build_grounds,
    list_releases,
    list_view_builds,
    recall_release,
    release_grounds,
    set_build_rows,
)
from consentry.stores.cases import forget_cases
from consentry.stores.content_reviews import forget_content
from consentry.stores.emergencies import forget_in_emergencies
from consentry.stores.reading import forget_readings
from consentry.stores.tag_values import TagRun, forget_in_runs, list_runs
from consentry.workshop import sweep
from deid.manifest import FILE_NAME
from kernel.database import Database
from kernel.ids import SubjectId
from kernel.ports import Clock, Signer
from vault.pseudonyms import Pseudonyms


class Products:
    """The derived files and tables of one deployment."""

    def __init__(
        self, data: Database, pseudonyms: Pseudonyms, layout: Layout, signer: Signer, *, log: AuditLog, clock: Clock
    ) -> None:
        self._data = data
        self._pseudonyms = pseudonyms
        self._layout = layout
        self._signer = signer
        self._log = log
        self._clock = clock
        self._builds: dict[str, Ground] = {}
        self._releases: dict[str, Ground] = {}

    def sweep(self) -> int:
        """Delete files that a crash left without a row in the data store; returns how many folders."""
        return (
            sweep(self._layout.views, "vb", lambda: self._known(list_view_builds, "build_id"))
            + sweep(self._layout.tags, "run", lambda: self._known(list_runs, "run_id"))
            + sweep(self._layout.exports, "exp", lambda: self._known(list_releases, "export_id"))
        )

    def names_of(self, subject: SubjectId) -> Mapping[str, str]:
        """Return the subject's pseudonym in every scope where it was given one."""
        return self._pseudonyms.of_subject(subject)

    def builds(self, connection: Connection) -> list[tuple[ViewBuild, Ground]]:
        """Return every build of a view, superseded ones too, with what it was made for."""
        found = list_view_builds(connection)
        grounds = _known_grounds(connection, self._builds, build_grounds, [build.build_id for build in found])
        return [(build, grounds[build.build_id]) for build in found]

    def runs(self, connection: Connection) -> list[tuple[TagRun, Ground]]:
        """Return every run of tags, with what the views behind it were made for; no purpose where they are unknown."""
        grounds = {build.build_id: ground for build, ground in self.builds(connection)}
        unknown = Ground("", "")
        return [(run, grounds.get(run.subjects_build, unknown)) for run in list_runs(connection)]

    def held_releases(self, connection: Connection) -> list[tuple[Release, Ground]]:
        """Return every release that was not recalled, with what it was made for."""
        found = list_releases(connection, held_only=True)
        grounds = _known_grounds(connection, self._releases, release_grounds, [one.export_id for one in found])
        return [(release, grounds[release.export_id]) for release in found]

    def forget(self, subject: SubjectId, asking: Asking) -> None:
        """Take a subject out of everything that was derived; safe to repeat until the way back is destroyed.

        View and tag files are rewritten without its rows and signed anew; a release that holds it is recalled: our
        copy is deleted, and the entry says whom to tell.
        """
        with self._data.write() as connection:
            forget_answers(connection, subject)
            forget_approvals(connection, subject)
            forget_cases(connection, subject)
            forget_in_emergencies(connection, subject)
            forget_content(connection, subject)
            forget_readings(connection, subject)
            forget_verdicts(connection, subject)
            forget_touched(connection, subject)
        self.forget_derived(subject, asking)

    def forget_derived(self, subject: SubjectId, asking: Asking) -> None:
        """Take a subject out of views, tags and releases; the next build brings back what may still be used."""
        self.sweep()
        names = self.names_of(subject)
        if not names:
            return
        with self._data.read() as connection:
            builds = [build for build, _ in self.builds(connection)]
            runs = [run for run, _ in self.runs(connection)]
            releases = [release for release, _ in self.held_releases(connection)]
        self.clear_views([names], builds)
        self.clear_tags([names], runs)
        self.recall(names, releases, asking)

    def clear_views(self, people: Sequence[Mapping[str, str]], builds: Collection[ViewBuild]) -> Cleared:
        """Rewrite builds without some subjects' rows, each with a manifest that is signed anew.

        Args:
            people: each subject's pseudonyms by scope.
            builds: of any view.
        """
        with self._data.read() as connection:
            grounds = build_grounds(connection, [build.build_id for build in builds])
        cleared = Cleared()
        with rewriting(self._layout.views):
            for build in builds:
                if names := _in_scope(people, grounds[build.build_id].scope):
                    folder = self._layout.view_folder(build.view, build.build_id)
                    register = partial(self._register, build.build_id)
                    cleared += rewrite_build(folder, names, signer=self._signer, register=register)
        return cleared

    def clear_tags(self, people: Sequence[Mapping[str, str]], runs: Collection[TagRun]) -> Cleared:
        """Delete some subjects' tags of some runs from their files and from the data store; ``rows`` counts values.

        Args:
            people: each subject's pseudonyms by scope.
            runs: of any scope.
        """
        files = values = 0
        with rewriting(self._layout.views):
            for run in runs:
                file = self._layout.tags_file(run.run_id)
                names = _in_scope(people, run.scope)
                files += bool(names) and file.exists() and rewrite_without(file, names)
        with self._data.write() as connection:
            for scope in sorted({run.scope for run in runs}):
                ids = [run.run_id for run in runs if run.scope == scope]
                values += sum(forget_in_runs(connection, ids, pseudonym=one) for one in _in_scope(people, scope))
        return Cleared(files, values)

    def recall(
        self,
        names: Mapping[str, str],
        releases: Collection[Release],
        asking: Asking,
        *,
        refs: Mapping[str, str] | None = None,
    ) -> list[Release]:
        """Recall those releases that hold a subject: our copy is deleted, and an entry says whom to tell.

        Args:
            names: the subject's pseudonyms by scope.
            releases: of any definition.
            refs: for the entry.
        Returns:
            What this call recalled.
        """
        return [one for one in releases if self._is_held(names, one) and self._recall(one, asking, refs or {})]

    def _known(self, listing: Callable[[Connection], Sequence[object]], name: str) -> frozenset[str]:
        with self._data.read() as connection:
            return frozenset(getattr(row, name) for row in listing(connection))

    def _register(self, build_id: str, manifest: str, rows: int) -> None:
        with self._data.write() as connection:
            set_build_rows(connection, build_id, manifest, rows)

    def _is_held(self, names: Mapping[str, str], release: Release) -> bool:
        """Say whether our copy has a row of the subject; one that is partly deleted already counts as if it had."""
        if release.scope not in names:
            return False
        folder = self._layout.export_folder(release.definition, release.export_id)
        files = sorted(folder.glob("*.parquet"))
        return not files or not (folder / FILE_NAME).is_file() or any(holds(f, names[release.scope]) for f in files)

    def _recall(self, release: Release, asking: Asking, refs: Mapping[str, str]) -> bool:
        folder = self._layout.export_folder(release.definition, release.export_id)
        if folder.exists():
            (folder / FILE_NAME).unlink(missing_ok=True)
            shutil.rmtree(folder)
        with self._data.write() as connection:
            if not recall_release(connection, release.export_id, at=self._log.now(connection)):
                return False
            purpose = release_grounds(connection, [release.export_id])[release.export_id].purpose
            event = Event(
                Act.EXPORT_RECALLED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
                purpose=purpose, recipient=release.recipient, refs={"export": release.export_id, **refs},
            )  # fmt: skip
            self._log.record(connection, event)
        return True


def _in_scope(people: Sequence[Mapping[str, str]], scope: str) -> list[str]:
    return [names[scope] for names in people if scope in names]


def _known_grounds(
    connection: Connection,
    known: dict[str, Ground],
    read: Callable[[Connection, Collection[str]], Mapping[str, Ground]],
    wanted: Sequence[str],
) -> Mapping[str, Ground]:
    """Return what products were made for, reading the manifests of new ones only; it never changes afterwards."""
    known.update(read(connection, [name for name in wanted if name not in known]))
    return known
