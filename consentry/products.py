"""What was made of a subject outside the vault: view rows, tags, exports; and how an erasure reaches all of it."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from audit.log import AuditLog
from consent.asking import Asking
from consentry.layout import Layout
from consentry.stores.acts import forget_answers
from consentry.stores.builds import list_releases, list_view_builds, recall_release, set_build_rows
from consentry.stores.tag_values import forget_pseudonym, list_runs
from consentry.workshop import rewrite_without, sweep
from deid.files import file_sha256
from deid.manifest import FILE_NAME, Manifest, parse_manifest, signed_manifest
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

    def sweep(self) -> int:
        """Delete files that a crash left without a row in the data store; returns how many folders."""
        return (
            sweep(self._layout.views, "vb", lambda: self._known(list_view_builds, "build_id"))
            + sweep(self._layout.tags, "run", lambda: self._known(list_runs, "run_id"))
            + sweep(self._layout.exports, "exp", lambda: self._known(list_releases, "export_id"))
        )

    def forget(self, subject: SubjectId, asking: Asking) -> None:
        """Take a subject out of everything that was derived; safe to repeat until the way back is destroyed.

        View and tag files are rewritten without its rows and signed anew; a release that holds it is recalled: our
        copy is deleted, and the entry says whom to tell.
        """
        self.sweep()
        with self._data.write() as connection:
            forget_answers(connection, subject)
        names = self._pseudonyms.of_subject(subject)
        if not names:
            return
        self._forget_views(names)
        self._forget_tags(names)
        self._recall(names, asking)

    def _known(self, listing: Callable[[Connection], Sequence[object]], name: str) -> frozenset[str]:
        with self._data.read() as connection:
            return frozenset(getattr(row, name) for row in listing(connection))

    def _forget_views(self, names: Mapping[str, str]) -> None:
        with self._data.read() as connection:
            builds = list_view_builds(connection)
        for build in builds:
            folder = self._layout.view_folder(build.view, build.build_id)
            manifest = _read_manifest(folder / FILE_NAME)
            pseudonym = None if manifest is None else names.get(manifest.scope)
            if manifest is None or pseudonym is None:
                continue
            rows, people = _rewrite_all(folder, pseudonym)
            if rows is None:
                continue
            renewed = replace(
                manifest,
                files={name: file_sha256(folder / name) for name in manifest.files},
                counts={"persons_out": people, "rows": rows},
            )
            signed = signed_manifest(renewed, self._signer)
            _replace(folder / FILE_NAME, signed)
            with self._data.write() as connection:
                set_build_rows(connection, build.build_id, signed.decode(), rows)

    def _forget_tags(self, names: Mapping[str, str]) -> None:
        with self._data.write() as connection:
            runs = list_runs(connection)
            for scope, pseudonym in names.items():
                forget_pseudonym(connection, scope=scope, pseudonym=pseudonym)
        for run in runs:
            file = self._layout.tags_file(run.run_id)
            if run.scope in names and file.exists():
                rewrite_without(file, [names[run.scope]])

    def _recall(self, names: Mapping[str, str], asking: Asking) -> None:
        with self._data.read() as connection:
            held = [release for release in list_releases(connection, held_only=True) if release.scope in names]
        for release in held:
            folder = self._layout.export_folder(release.definition, release.export_id)
            if folder.exists():
                shutil.rmtree(folder)
            with self._data.write() as connection:
                recall_release(connection, release.export_id, at=self._log.now(connection))
                self._log.record(
                    connection,
                    Event(
                        Act.EXPORT_RECALLED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
                        recipient=release.recipient, refs={"export": release.export_id},
                    ),
                )  # fmt: skip


def _rewrite_all(folder: Path, pseudonym: str) -> tuple[int | None, int]:
    """Rewrite the Parquet files without one pseudonym; returns rows and people left, rows None when it was in none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    files = sorted(folder.glob("*.parquet"))
    changed = [file for file in files if rewrite_without(file, [pseudonym])]
    if not changed:
        return None, 0
    left = pa.concat_tables([pq.read_table(file, columns=["pseudonym"]) for file in files])
    return left.num_rows, pc.count_distinct(left["pseudonym"]).as_py()


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)


def _read_manifest(path: Path) -> Manifest | None:
    """Return a build's own manifest; None when its folder is gone."""
    if not path.is_file():
        return None
    return parse_manifest(json.loads(path.read_bytes())["manifest"])
