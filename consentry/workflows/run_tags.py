"""Evaluate the taxonomy on the newest views, for subjects whose profiling decision is live."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import check_may_act
from consentry.packs import pack_folder
from consentry.parsed_packs import read_taxonomy
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.builds import ViewBuild, get_newest_build
from consentry.stores.tag_values import TagRun, add_run, add_values
from consentry.workflows.build_view import get_view
from consentry.workflows.withheld import ended_meanwhile, read_pseudonyms, withheld_pseudonyms
from consentry.workshop import making
from kernel.encoding import JsonValue
from kernel.errors import ConfigurationError
from kernel.ids import SubjectId, new_id
from tagging.cohort import MINIMUM_CELL
from tagging.evaluate import TIME_ZONE, evaluate
from tagging.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa

SUBJECTS_VIEW: Final = "subject_profile"
EVENTS_VIEW: Final = "event_rows"
TAGS_FIELD: Final = "tags"
"""The catalogue's field for what the engine makes; the gate is asked for it at evaluation, read and release."""


@dataclass
class TagsRun:
    """One run; ``distribution`` counts people by tag and value, None where the cell is small."""

    run_id: str
    as_of: date
    people: int
    withheld: int
    distribution: dict[str, dict[str, int | None]] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """Return the run for programs."""
        return {
            "run": self.run_id,
            "as_of": self.as_of.isoformat(),
            "people": self.people,
            "withheld": self.withheld,
            "distribution": {tag: dict(values) for tag, values in self.distribution.items()},
        }


@dataclass(frozen=True, slots=True)
class TagInputs:
    """The two builds that tags are made of, of one scope; ``fields`` are all that the gate is asked for."""

    scope: str
    purpose: str
    subjects: ViewBuild
    events: ViewBuild
    subjects_file: Path
    events_file: Path
    fields: frozenset[str]


def load_pack_taxonomy(platform: Platform) -> Taxonomy:
    """Load the pack's taxonomy."""
    return read_taxonomy(pack_folder(platform.settings.pack))


def tag_inputs(platform: Platform) -> TagInputs:
    """Return the newest builds of both views; raises ``NotFound`` when one was not built yet."""
    people, events = get_view(platform, SUBJECTS_VIEW), get_view(platform, EVENTS_VIEW)
    if people.scope != events.scope:
        raise ConfigurationError("The two tagging views have different scopes", hint="Give them one scope in the pack.")
    with platform.data.read() as connection:
        subjects = get_newest_build(connection, SUBJECTS_VIEW)
        happened = get_newest_build(connection, EVENTS_VIEW)
    files = [platform.layout.view_file(build.view, build.build_id) for build in (subjects, happened)]
    fields = people.fields | events.fields | {TAGS_FIELD}
    return TagInputs(people.scope, people.purpose, subjects, happened, files[0], files[1], fields)


def run_tags(platform: Platform, caller: Principal, *, as_of: date | None = None) -> TagsRun:
    """Evaluate every tag for every permitted subject of the newest views.

    Args:
        as_of: the last natural day that counts; default today in the taxonomy's time zone.
    Raises:
        Denied: the role may not evaluate tags.
        NotFound: a view was not built yet.
    """
    check_may_act(platform.catalogue, caller, "tags.run")
    taxonomy, inputs = load_pack_taxonomy(platform), tag_inputs(platform)
    day = as_of or platform.clock.now().astimezone(ZoneInfo(TIME_ZONE)).date()
    run = _Run(platform, platform.asking(caller), taxonomy, inputs, day, new_id("run"))
    with making(platform.layout.tags_folder(run.run_id)):
        return run.evaluate()


@dataclass
class _Run:
    platform: Platform
    asking: Asking
    taxonomy: Taxonomy
    inputs: TagInputs
    day: date
    run_id: str

    def evaluate(self) -> TagsRun:
        """Evaluate and register; once more without those whose decision ends meanwhile."""
        names = read_pseudonyms([self.inputs.subjects_file])
        withheld, live = withheld_pseudonyms(
            self.platform, self.asking, scope=self.inputs.scope, pseudonyms=names, purpose=self.inputs.purpose,
            fields=self.inputs.fields,
        )  # fmt: skip
        while True:
            table = evaluate(
                self.taxonomy, subjects=self.inputs.subjects_file, events=self.inputs.events_file, as_of=self.day,
                withheld=withheld,
            )  # fmt: skip
            _write(table, self.platform.layout.tags_file(self.run_id))
            ended = self._register(table, live, len(withheld))
            if not ended:
                return TagsRun(self.run_id, self.day, table.num_rows, len(withheld), distribution(table))
            withheld |= {name for name, subject in live.items() if subject in ended}
            live = {name: subject for name, subject in live.items() if subject not in ended}

    def _register(self, table: "pa.Table", live: Mapping[str, SubjectId], withheld: int) -> set[SubjectId]:
        """Register the run, unless somebody's decision has ended; returns whose."""
        asking, inputs = self.asking, self.inputs
        with self.platform.data.write() as connection:
            used = dict.fromkeys(live.values(), inputs.fields)
            ended = ended_meanwhile(self.platform, connection, asking, used=used, purpose=inputs.purpose)
            if ended:
                return ended
            run = TagRun(
                self.run_id, inputs.scope, self.taxonomy.name, self.taxonomy.hash, self.day,
                inputs.subjects.build_id, inputs.events.build_id, self.platform.log.now(connection),
            )  # fmt: skip
            add_run(connection, run)
            add_values(connection, self.run_id, _rows(table, self.taxonomy))
            self.platform.log.record(
                connection,
                Event(
                    Act.TAGS_EVALUATED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
                    purpose=inputs.purpose,
                    refs={"run": self.run_id, "taxonomy": self.taxonomy.hash, "as_of": self.day.isoformat()},
                    counts={"people": table.num_rows, "withheld": withheld, "tags": len(self.taxonomy.tags)},
                ),
            )  # fmt: skip
        return set()


def distribution(table: "pa.Table") -> dict[str, dict[str, int | None]]:
    """Count people by tag and value, commonest first; None where the cell is not told.

    A cell below the minimum is hidden, and with it the next larger ones, until what is hidden holds at least the
    minimum together and cannot be had from the total by subtraction (complementary suppression).
    """
    counted: dict[str, dict[str, int | None]] = {}
    for tag in table.column_names[1:]:
        cells = Counter(_shown(value) for value in table[tag].to_pylist())
        hidden = _hidden(cells)
        counted[tag] = {value: None if value in hidden else n for value, n in cells.most_common()}
    return counted


def _hidden(cells: Mapping[str, int]) -> set[str]:
    hidden: list[str] = []
    for value, n in sorted(cells.items(), key=lambda cell: (cell[1], cell[0])):
        together = sum(cells[name] for name in hidden)
        if n >= MINIMUM_CELL and (not hidden or (len(hidden) > 1 and together >= MINIMUM_CELL)):
            break
        hidden.append(value)
    return set(hidden)


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(table: "pa.Table", taxonomy: Taxonomy) -> Iterator[tuple[str, str, JsonValue, str]]:
    names = table["pseudonym"].to_pylist()
    for tag in taxonomy.tags:
        version = f"{taxonomy.name}/{tag.version}"
        for name, value in zip(names, table[tag.code].to_pylist(), strict=True):
            yield name, tag.code, str(value) if isinstance(value, Decimal) else value, version


def _write(table: "pa.Table", path: Path) -> None:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    pq.write_table(table, draft, compression="zstd")
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.replace(path)
