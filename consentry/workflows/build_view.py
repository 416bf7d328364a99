"""Build a de-identified view: permitted subjects only, batch by batch, Parquet with a signed manifest."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from audit.events import Act, Event, Outcome
from audit.receipts import Receipt
from consent.asking import Asking
from consent.permits import Permit
from consentry.access import check_may_act
from consentry.ahead import one_ahead
from consentry.layout import VIEW_FILE
from consentry.own_identifiers import open_own, speakers, text_fields
from consentry.packs import pack_folder
from consentry.parsed_packs import read_views
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.progress import progress
from consentry.rewriting import count_rows, read_rows, rewrite_without
from consentry.sealing import opening
from consentry.stores.builds import ViewBuild, add_view_build
from consentry.view_rows import OwnRows, ProcessRows, RowMaker
from consentry.workflows.withheld import ended_meanwhile
from consentry.workshop import making
from deid import columns as columns_of_rows
from deid.files import file_sha256
from deid.manifest import FILE_NAME, VIEW_GRADE, Manifest, Product, columns_of, signed_manifest
from deid.schemas import arrow_schema
from deid.view_definition import PSEUDONYM
from deid.views import ViewDefinition
from kernel.encoding import JsonValue
from kernel.errors import NotFound
from kernel.ids import SubjectId, new_id
from vault.bulk_columns import SOURCE, SOURCE_RECORD, SUBJECT
from vault.cohort_openers import CohortOpeners
from vault.setwise import chunks

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_SUBJECTS: Final = 1_000
"""Subjects of one permit and receipt; bounds memory and the time between permit and read."""


@dataclass
class Built:
    """One finished build.

    Attributes:
        by_record: people whose texts were also read for what their record says of them.
        left_out: subjects without a row, by reason.
        dropped: cells that did not become one, by column and reason.
    """

    view: str
    build_id: str
    folder: Path
    people: int = 0
    rows: int = 0
    by_record: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, JsonValue]:
        """Return the result for programs."""
        return {
            "view": self.view,
            "build": self.build_id,
            "people": self.people,
            "rows": self.rows,
            "texts redacted by record": self.by_record,
            "left out": dict(self.left_out),
            "cells dropped": dict(self.dropped),
            "folder": str(self.folder),
        }


def view_names(platform: Platform) -> list[str]:
    """Return the codes of the pack's views."""
    return sorted(read_views(pack_folder(platform.settings.pack), platform.catalogue))


def get_view(platform: Platform, name: str) -> ViewDefinition:
    """Return a view of the pack; raises ``NotFound``."""
    views = read_views(pack_folder(platform.settings.pack), platform.catalogue)
    if name not in views:
        raise NotFound(f"The pack has no view {name!r}", hint=f"It has {', '.join(sorted(views))}.")
    return views[name]


def build_view(
    platform: Platform, caller: Principal, name: str, *, as_of: date | None = None, show_progress: bool = False
) -> Built:
    """Build one view for every subject whose decision is live now.

    Args:
        as_of: the last natural day that counts; default today in the view's time zone.
    Raises:
        Denied: the role may not build views.
        Unavailable: a store or the log cannot be used; no build is left behind.
    """
    check_may_act(platform.catalogue, caller, "view.build")
    view = get_view(platform, name)
    day = as_of or platform.clock.now().astimezone(ZoneInfo(view.time_zone)).date()
    build_id = new_id("vb")
    folder = platform.layout.view_folder(view.code, build_id)
    run = _Run(platform, platform.asking(caller), view, day, Built(view.code, build_id, folder))
    with making(folder):
        run.write(show_progress=show_progress)
    return run.built


@dataclass
class _Run:
    platform: Platform
    asking: Asking
    view: ViewDefinition
    day: date
    built: Built
    members: dict[SubjectId, str] = field(default_factory=dict)
    used: dict[SubjectId, frozenset[str]] = field(default_factory=dict)

    def write(self, *, show_progress: bool) -> None:
        with self._row_maker() as maker:
            self._write_rows(maker, show_progress=show_progress)
            dropped = maker.dropped
        self.built.dropped = Counter({f"{column}: {why}": n for (column, why), n in dropped.items()})
        self._finish()

    def _row_maker(self) -> RowMaker:
        """Return who makes the rows: with PostgreSQL a process that has neither stores nor keys (R56)."""
        tokeniser = self.platform.pseudonyms
        if self.platform.data.is_sqlite:
            return OwnRows(self.view, tokeniser=tokeniser, as_of=self.day)
        pack = pack_folder(self.platform.settings.pack)
        return ProcessRows(self.view, pack=pack, tokeniser=tokeniser, as_of=self.day)

    def _write_rows(self, maker: RowMaker, *, show_progress: bool) -> None:
        import pyarrow.parquet as pq

        subjects = self._subjects()
        with (
            progress(f"view {self.view.code}", total=len(subjects), shown=show_progress) as done,
            opening(self.platform.settings, self.platform.catalogue, len(subjects)) as openers,
            pq.ParquetWriter(self.built.folder / VIEW_FILE, arrow_schema(self.view), compression="zstd") as writer,
        ):
            batches = self._permitted(subjects)
            for size, access in batches if openers is None else one_ahead(batches):
                for rows in () if access is None else self._batch_rows(maker, *access, openers):
                    self.built.rows += rows.num_rows
                    writer.write_table(rows)
                done(size)

    def _subjects(self) -> list[SubjectId]:
        found: list[SubjectId] = []
        while True:
            with self.platform.data.read() as connection:
                page = self.platform.vault.subjects(connection, after=found[-1] if found else "")
            if not page:
                return found
            found += page

    def _permitted(self, subjects: list[SubjectId]) -> Iterator[tuple[int, tuple[Permit, Receipt] | None]]:
        """Yield the size of each batch, with permit and receipt where somebody is permitted."""
        for batch in chunks(subjects, BATCH_SUBJECTS):
            with self.platform.data.write() as connection:
                verdict = self.platform.gate.check_many(
                    connection, asking=self.asking, purpose=self.view.purpose, subjects=batch, fields=self.view.fields
                )
            permit = verdict.permit
            permitted = frozenset[SubjectId]() if permit is None else permit.subjects
            for subject, reasons in verdict.refused.items():
                if subject not in permitted:
                    self.built.left_out[min(reason.value for reason in reasons.values())] += 1
            if permit is None:
                yield len(batch), None
                continue
            receipt = self.platform.log.receipt(
                permit.entry_id,
                actor=self.asking.actor,
                purpose=self.view.purpose,
                subjects=permit.subjects,
                fields=permit.fields,
            )
            yield len(batch), (permit, receipt)

    def _batch_rows(
        self, maker: RowMaker, permit: Permit, receipt: Receipt, openers: CohortOpeners | None
    ) -> "Iterator[pa.Table]":
        names = self.platform.pseudonyms.pseudonyms(sorted(permit.subjects), scope=self.view.scope)
        subjects = {name: subject for subject, name in names.items()}
        opened = self.platform.vault.open_cohort(
            permit, receipt, fields=permit.fields, kinds=self.view.kinds, current_until=self._end_of_day(),
            openers=openers,
        )  # fmt: skip
        for columns in _streamed(self._without_own(opened, permit, openers), names):
            rows = maker.rows(columns)
            for name in rows[PSEUDONYM].unique().to_pylist():
                self.members[subjects[name]] = name
                self.used[subjects[name]] = permit.fields_for(subjects[name])
            yield rows

    def _without_own(
        self, opened: "Iterator[pa.RecordBatch]", permit: Permit, openers: CohortOpeners | None
    ) -> "Iterator[pa.RecordBatch]":
        """Yield opened columns without people's own identifiers in their texts, where the view has any.

        Identifiers are opened of those only who have a text; a batch is therefore held until that is known.
        """
        texts = text_fields(self.view) & permit.fields
        if not texts:
            yield from opened
            return
        held = list(opened)
        own = open_own(self.platform, self.asking, sorted(speakers(held, texts)), openers=openers)
        self.built.by_record += len(own.people)
        yield from (own.redacted(columns, texts) for columns in held)

    def _end_of_day(self) -> datetime:
        """Return the instant from which on nothing counts that was observed."""
        return datetime.combine(self.day + timedelta(days=1), time.min, ZoneInfo(self.view.time_zone))

    def _finish(self) -> None:
        """Register the build; whoever withdrew, or is being erased, while it was written is taken out first."""
        while ended := self._register():
            gone = {self.members.pop(subject) for subject in ended}
            self.used = {subject: fields for subject, fields in self.used.items() if subject not in ended}
            file = self.built.folder / VIEW_FILE
            rewrite_without(file, gone)
            self.built.rows = count_rows(file)
            self.built.left_out["ENDED_MEANWHILE"] += len(ended)

    def _register(self) -> set[SubjectId]:
        """Register the build, unless somebody's decision has ended; returns whose."""
        self.built.people = len(self.members)
        checkpoint = self.platform.log.settle()
        manifest = view_manifest(
            self.platform, self.view, self.built.folder / VIEW_FILE,
            checkpoint=checkpoint.note.decode(), as_of=self.day, left_out=self.built.left_out,
        )  # fmt: skip
        (self.built.folder / FILE_NAME).write_bytes(manifest)
        with self.platform.data.write() as connection:
            ended = ended_meanwhile(self.platform, connection, self.asking, used=self.used, purpose=self.view.purpose)
            if ended:
                return ended
            now = self.platform.log.now(connection)
            build = ViewBuild(self.view.code, self.built.build_id, self.built.rows, now)
            add_view_build(connection, build, manifest.decode())
            self.platform.log.record(
                connection,
                Event(
                    Act.VIEW_BUILT, Outcome.DONE, self.asking.actor, self.asking.role, self.asking.request_id,
                    purpose=self.view.purpose, fields=tuple(sorted(self.view.fields)), level=self.view.level,
                    refs={"view": self.view.code, "build": self.built.build_id, "definition": self.view.hash},
                    counts={"people": self.built.people, "rows": self.built.rows, "by_record": self.built.by_record},
                ),
            )  # fmt: skip
        return set()


def _streamed(opened: "Iterator[pa.RecordBatch]", names: Mapping[SubjectId, str]) -> "Iterator[pa.RecordBatch]":
    """Yield opened columns under pseudonyms, at last those of people who have no record."""
    import pyarrow as pa

    silent = dict(names)
    for columns in opened:
        for subject in columns[SUBJECT].unique().to_pylist():
            silent.pop(subject, None)
        yield _under_pseudonyms(columns, names)
    if silent:
        rows = [{columns_of_rows.PSEUDONYM: name} for name in silent.values()]
        yield pa.RecordBatch.from_pylist(rows, schema=_under_pseudonyms(columns, names).schema)


def _under_pseudonyms(columns: "pa.RecordBatch", names: Mapping[SubjectId, str]) -> "pa.RecordBatch":
    """Return opened columns with pseudonyms in the place of everything that says whose they are."""
    import pyarrow as pa

    pseudonyms = pa.array([names[subject] for subject in columns[SUBJECT].to_pylist()], pa.string())
    return columns.drop_columns([SUBJECT, SOURCE_RECORD, SOURCE]).append_column(columns_of_rows.PSEUDONYM, pseudonyms)


def view_manifest(
    platform: Platform, view: ViewDefinition, file: Path, *, checkpoint: str, as_of: date, left_out: Mapping[str, int]
) -> bytes:
    """Return the signed manifest of a view's file as it lies there now."""
    import pyarrow.compute as pc

    table = read_rows(file)
    manifest = Manifest(
        product=Product.VIEW,
        code=view.code,
        version=view.version,
        definition_hash=view.hash,
        catalogue_hash=platform.catalogue.hash,
        checkpoint=checkpoint,
        purpose=view.purpose,
        scope=view.scope,
        as_of=as_of,
        built_at=platform.clock.now(),
        level=view.level,
        grade=VIEW_GRADE,
        columns=columns_of(table.schema),
        files={file.name: file_sha256(file)},
        counts={"persons_out": pc.count_distinct(table["pseudonym"]).as_py(), "rows": table.num_rows},
        left_out=left_out,
    )
    return signed_manifest(manifest, platform.signer)
