"""Evaluate the taxonomy on the newest views, for subjects whose profiling decision is live."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.builds import ViewBuild, get_newest_build
from consentry.stores.tag_values import TagRun, add_run, add_values
from consentry.workflows.build_view import get_view
from consentry.workflows.withheld import read_pseudonyms, withheld_pseudonyms
from kernel.encoding import JsonValue
from kernel.errors import ConfigurationError
from kernel.ids import new_id
from tagging.cohort import MINIMUM_CELL
from tagging.evaluate import TIME_ZONE, evaluate
from tagging.taxonomy import Taxonomy, load_taxonomy

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
    """The two builds that tags are made of, of one scope."""

    scope: str
    purpose: str
    subjects: ViewBuild
    events: ViewBuild
    subjects_file: Path
    events_file: Path


def load_pack_taxonomy(platform: Platform) -> Taxonomy:
    """Load the pack's taxonomy."""
    return load_taxonomy(pack_folder(platform.settings.pack) / "taxonomy.yaml")


def tag_inputs(platform: Platform) -> TagInputs:
    """Return the newest builds of both views; raises ``NotFound`` when one was not built yet."""
    people, events = get_view(platform, SUBJECTS_VIEW), get_view(platform, EVENTS_VIEW)
    if people.scope != events.scope:
        raise ConfigurationError("The two tagging views have different scopes", hint="Give them one scope in the pack.")
    with platform.data.read() as connection:
        subjects = get_newest_build(connection, SUBJECTS_VIEW)
        happened = get_newest_build(connection, EVENTS_VIEW)
    files = [platform.layout.view_file(build.view, build.build_id) for build in (subjects, happened)]
    return TagInputs(people.scope, people.purpose, subjects, happened, *files)


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
    asking = platform.asking(caller)
    names = read_pseudonyms([str(inputs.subjects_file)])
    withheld, _ = withheld_pseudonyms(
        platform, asking, scope=inputs.scope, pseudonyms=names, purpose=inputs.purpose, fields=[TAGS_FIELD]
    )
    table = evaluate(taxonomy, subjects=inputs.subjects_file, events=inputs.events_file, as_of=day, withheld=withheld)
    run_id = new_id("run")
    _write(table, platform.layout.tags_file(run_id))
    with platform.data.write() as connection:
        now = platform.log.now(connection)
        run = TagRun(
            run_id, inputs.scope, taxonomy.name, taxonomy.hash, day,
            inputs.subjects.build_id, inputs.events.build_id, now,
        )  # fmt: skip
        add_run(connection, run)
        add_values(connection, run_id, _rows(table, taxonomy))
        platform.log.record(
            connection,
            Event(
                Act.TAGS_EVALUATED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=inputs.purpose,
                refs={"run": run_id, "taxonomy": taxonomy.hash, "as_of": day.isoformat()},
                counts={"people": table.num_rows, "withheld": len(withheld), "tags": len(taxonomy.tags)},
            ),
        )  # fmt: skip
    return TagsRun(run_id, day, table.num_rows, len(withheld), distribution(table))


def distribution(table: "pa.Table") -> dict[str, dict[str, int | None]]:
    """Count people by tag and value, commonest first; a cell below the minimum is None."""
    counted: dict[str, dict[str, int | None]] = {}
    for tag in table.column_names[1:]:
        cells = Counter(
            "unknown" if v is None else str(v).lower() if isinstance(v, bool) else str(v)
            for v in table[tag].to_pylist()
        )
        counted[tag] = {value: n if n >= MINIMUM_CELL else None for value, n in cells.most_common()}
    return counted


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
