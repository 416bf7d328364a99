"""Release one export to its recipient: asked again at the gate, own pseudonyms, k-anonymous, measured as written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import check_may_act
from consentry.packs import pack_folder
from consentry.parsed_packs import read_exports, read_views
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.rewriting import read_rows
from consentry.stores.builds import Release, ViewBuild, add_release, get_newest_build
from consentry.stores.tag_values import TagRun, get_newest_run
from consentry.workflows.run_tags import TAGS_FIELD, load_pack_taxonomy
from consentry.workflows.withheld import ended_meanwhile, read_pseudonyms, withheld_pseudonyms
from consentry.workshop import making
from deid.exports import ExportDefinition
from deid.manifest import FILE_NAME, Manifest, Product, columns_of, signed_manifest
from deid.views import ViewDefinition
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError, Denied, NotFound
from kernel.ids import SubjectId, new_id
from tagging.evaluate import needed_columns
from tagging.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa

    from deid.privacy import Anonymised
    from deid.release import ReleaseReport

TABLE: Final = "data"


@dataclass
class Released:
    """One release that passed the gate."""

    export_id: str
    definition: str
    recipient: str
    folder: Path
    people: int
    suppressed: int
    withheld: int
    k: int
    levels: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """Return the release for programs."""
        return {
            "export": self.export_id,
            "definition": self.definition,
            "recipient": self.recipient,
            "people": self.people,
            "suppressed": self.suppressed,
            "withheld": self.withheld,
            "k": self.k,
            "levels": dict(self.levels),
            "folder": str(self.folder),
        }


def run_export(platform: Platform, caller: Principal, name: str) -> Released:
    """Release one export of the pack.

    Raises:
        Denied: the role may not export, or the release falls short of its definition; the refusal is logged and no
            file stays.
        NotFound: no such export, or its view or tags were not made yet.
    """
    check_may_act(platform.catalogue, caller, "export.run")
    definition, view = _definition(platform, name)
    asking = platform.asking(caller)
    export_id = new_id("exp")
    run = _Run(platform, asking, definition, view, load_pack_taxonomy(platform), export_id)
    try:
        with making(run.folder):
            return run.release()
    except Denied as err:
        run.record_refusal(err)
        raise


def _definition(platform: Platform, name: str) -> tuple[ExportDefinition, ViewDefinition]:
    folder = pack_folder(platform.settings.pack)
    views, exports = read_views(folder, platform.catalogue), read_exports(folder, platform.catalogue)
    if name not in exports:
        raise NotFound(f"The pack has no export {name!r}", hint=f"It has {', '.join(sorted(exports)) or 'none'}.")
    return exports[name], views[exports[name].view]


@dataclass
class _Run:
    platform: Platform
    asking: Asking
    definition: ExportDefinition
    view: ViewDefinition
    taxonomy: Taxonomy
    export_id: str
    members: list[SubjectId] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the files go; removed again when the release is refused."""
        return self.platform.layout.export_folder(self.definition.code, self.export_id)

    @property
    def scope(self) -> str:
        """The pseudonym scope of this one release, so that two releases cannot be joined."""
        return f"{self.definition.scope}/{self.export_id}"

    def release(self) -> Released:
        from deid.privacy import anonymise

        with self.platform.data.read() as connection:
            build = get_newest_build(connection, self.view.code)
            tags = get_newest_run(connection, self.view.scope)
        table, withheld = self._people(build, tags)
        hierarchies = self.definition.hierarchies_with(_tag_inputs(self.taxonomy))
        found = anonymise(
            table,
            quasi_identifiers=list(hierarchies),
            hierarchies=hierarchies,
            k=self.definition.k,
            suppression_limit=self.definition.suppression_limit,
        )
        reports = self._write(found)
        manifest = self._manifest(found, reports, tags, withheld)
        (self.folder / FILE_NAME).write_bytes(manifest)
        self._record(found, manifest)
        return Released(
            self.export_id, self.definition.code, self.definition.recipient, self.folder,
            people=found.persons - found.suppressed, suppressed=found.suppressed, withheld=withheld,
            k=reports[0].risk.k, levels=found.levels,
        )  # fmt: skip

    def record_refusal(self, err: ConsentryError) -> None:
        """Leave an entry of a release that fell short."""
        with self.platform.data.write() as connection:
            self.platform.log.record(
                connection,
                Event(
                    Act.EXPORT_REFUSED, Outcome.DENIED, self.asking.actor, self.asking.role, self.asking.request_id,
                    purpose=self.definition.purpose, recipient=self.definition.recipient, reason=type(err).__name__,
                    refs={"export": self.definition.code, "definition": self.definition.hash},
                ),
            )  # fmt: skip

    def _people(self, build: ViewBuild, tags: TagRun) -> "tuple[pa.Table, int]":
        """Return the rows of everybody whose decision names this recipient, with tags and this release's pseudonyms."""
        import pyarrow as pa

        file = self.platform.layout.view_file(build.view, build.build_id)
        names = read_pseudonyms([file])
        _, live = withheld_pseudonyms(
            self.platform, self.asking, scope=self.view.scope, pseudonyms=names, purpose=self.definition.purpose,
            fields=self.definition.fields | {TAGS_FIELD}, recipient=self.definition.recipient,
        )  # fmt: skip
        _, profiled = withheld_pseudonyms(
            self.platform, self.asking, scope=self.view.scope, pseudonyms=sorted(live), purpose=self.view.purpose,
            fields=self.view.fields | {TAGS_FIELD},
        )  # fmt: skip
        rows = read_rows(file, columns=["pseudonym", *self.definition.columns])
        tagged = read_rows(self.platform.layout.tags_file(tags.run_id), columns=["pseudonym", *self.definition.tags])
        places = {name: place for place, name in enumerate(tagged["pseudonym"].to_pylist())}
        kept = [name in profiled and name in places for name in rows["pseudonym"].to_pylist()]
        people = rows.filter(pa.array(kept, pa.bool_()))
        order = pa.array([places[name] for name in people["pseudonym"].to_pylist()], pa.int64())
        beside = tagged.take(order)
        for tag in self.definition.tags:
            people = people.append_column(tag, beside[tag])
        return self._renamed(self._with_clean_texts(people), profiled), len(names) - people.num_rows

    def _with_clean_texts(self, people: "pa.Table") -> "pa.Table":
        """Put the texts that leave through the redaction of today's rules, whatever the view was built with."""
        import pyarrow as pa

        from deid.release import releasable
        from deid.text import TextScrubber

        scrubber = TextScrubber()
        for name in self.definition.texts:
            cells = (
                None if cell is None else releasable(cell, lambda text: scrubber.scrub(text).text)
                for cell in people[name].to_pylist()
            )
            people = people.set_column(people.column_names.index(name), name, pa.array(cells, pa.string()))
        return people

    def _renamed(self, table: "pa.Table", subjects: Mapping[str, SubjectId]) -> "pa.Table":
        import pyarrow as pa

        self.members = sorted({subjects[name] for name in table["pseudonym"].to_pylist()})
        own = self.platform.pseudonyms.pseudonyms(sorted(subjects.values()), scope=self.scope)
        names = pa.array([own[subjects[name]] for name in table["pseudonym"].to_pylist()], pa.string())
        return table.set_column(0, "pseudonym", names).select(
            ["pseudonym", *self.definition.columns, *self.definition.tags]
        )

    def _write(self, found: "Anonymised") -> "tuple[ReleaseReport, ...]":
        from deid.files import file_sha256, write_csv, write_parquet
        from deid.release import check_folder, policy_for
        from deid.text import TextScrubber

        write_csv(found.table, self.folder / f"{TABLE}.csv")
        write_parquet(found.table, self.folder / f"{TABLE}.parquet")
        policy = policy_for(self.definition, found, find=TextScrubber().find)
        hashes = {path.name: file_sha256(path) for path in sorted(self.folder.iterdir())}
        return check_folder(self.folder, policy, hashes)

    def _manifest(
        self, found: "Anonymised", reports: "tuple[ReleaseReport, ...]", tags: TagRun, withheld: int
    ) -> bytes:
        manifest = Manifest(
            product=Product.EXPORT,
            code=self.definition.code,
            version=self.definition.version,
            definition_hash=self.definition.hash,
            catalogue_hash=self.platform.catalogue.hash,
            checkpoint=self.platform.log.settle().note.decode(),
            purpose=self.definition.purpose,
            scope=self.definition.scope,
            recipient=self.definition.recipient,
            as_of=tags.as_of,
            built_at=self.platform.clock.now(),
            level=self.definition.level,
            grade=3,
            columns=columns_of(found.table.schema),
            files={report.file: report.sha256 for report in reports},
            counts={"persons_out": found.persons - found.suppressed, "rows": found.table.num_rows},
            left_out={"no_decision": withheld, "suppressed": found.suppressed},
            report={"levels": dict(found.levels), "measured": [report.to_json() for report in reports]},
        )
        return signed_manifest(manifest, self.platform.signer)

    def _check_unchanged(self, connection: Connection) -> None:
        """Raise ``DecisionsChanged`` when a decision behind the release has ended meanwhile."""
        asked = (
            (self.definition.purpose, self.definition.fields | {TAGS_FIELD}, self.definition.recipient),
            (self.view.purpose, self.view.fields | {TAGS_FIELD}, None),
        )
        for purpose, fields, recipient in asked:
            used = dict.fromkeys(self.members, fields)
            if ended_meanwhile(self.platform, connection, self.asking, used=used, purpose=purpose, recipient=recipient):
                raise DecisionsChanged("Decisions have changed while the release was made", hint="Run it again.")

    def _record(self, found: "Anonymised", manifest: bytes) -> None:
        with self.platform.data.write() as connection:
            self._check_unchanged(connection)
            now = self.platform.log.now(connection)
            release = Release(
                self.export_id, self.definition.code, self.definition.recipient, self.scope,
                found.table.num_rows, now, None,
            )  # fmt: skip
            add_release(connection, release, manifest.decode())
            self.platform.log.record(
                connection,
                Event(
                    Act.EXPORT_RELEASED, Outcome.DONE, self.asking.actor, self.asking.role, self.asking.request_id,
                    purpose=self.definition.purpose, recipient=self.definition.recipient,
                    fields=tuple(sorted(self.definition.fields)), level=self.definition.level,
                    refs={"export": self.export_id, "definition": self.definition.hash},
                    counts={"people": found.persons - found.suppressed, "suppressed": found.suppressed, "k": found.k},
                ),
            )  # fmt: skip


class DecisionsChanged(Denied):
    """Somebody in the release withdrew, or is being erased, while it was made."""


def _tag_inputs(taxonomy: Taxonomy) -> dict[str, frozenset[str]]:
    """Return the columns that each tag is made of, directly or through other tags."""
    return {tag.code: needed_columns(one.rule for one in taxonomy.with_references(tag.code)) for tag in taxonomy.tags}
