"""Fixtures: files of the two views with their exact schemas, and taxonomies made of single rules."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.catalogue import Label
from kernel.pack import builtin_pack_path
from tagging.syntax import Expression, type_of
from tagging.taxonomy import Tag, TagType, Taxonomy, load_taxonomy

SUBJECT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("pseudonym", "age_band", "sex", "province")]
    + [(name, pa.list_(pa.string())) for name in ("diagnosis_groups", "medication_groups", "allergy_classes")]
    + [
        (name, pa.string())
        for name in (
            "reproductive_state",
            "systolic_bin",
            "diastolic_bin",
            "glucose_bin",
            "bmi_bin",
            "complaint",
            "last_visit_month",
            "membership",
        )
    ]
)
EVENT_SCHEMA = pa.schema(
    [
        ("pseudonym", pa.string()),
        ("event_type", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("hour", pa.int32()),
        ("department", pa.string()),
        ("topic", pa.string()),
        ("format", pa.string()),
        ("minutes", pa.int32()),
        ("questions", pa.int32()),
        ("amount", pa.decimal128(12, 2)),
        ("status", pa.string()),
    ]
)

Rows = Sequence[Mapping[str, object]]
Views = tuple[Path, Path]


def _event(
    pseudonym: str, event_type: str | None, day: date, hour: int = 12, **properties: object
) -> dict[str, object]:
    local = datetime(day.year, day.month, day.day, hour, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    row = {"pseudonym": pseudonym, "event_type": event_type, "at": local.astimezone(UTC), "day": day, "hour": hour}
    return row | properties


@pytest.fixture(scope="session")
def as_of() -> date:
    """The day that most tests stand on."""
    return date(2026, 11, 21)


@pytest.fixture(scope="session")
def event() -> Callable[..., dict[str, object]]:
    """Make one row of the event view whose instant, day and hour agree."""
    return _event


@pytest.fixture(scope="session")
def write_views() -> Callable[..., Views]:
    """Write both views into a folder; columns that a row leaves out are NULL."""

    def write(folder: Path, subjects: Rows, events: Rows = ()) -> Views:
        paths = folder / "subject_profile.parquet", folder / "event_rows.parquet"
        for path, rows, schema in zip(paths, (subjects, events), (SUBJECT_SCHEMA, EVENT_SCHEMA), strict=True):
            pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
        return paths

    return write


@pytest.fixture
def views(tmp_path: Path, write_views) -> Callable[..., Views]:
    """Write the two views into the test's folder."""
    return lambda subjects, events=(): write_views(tmp_path, subjects, events)


@pytest.fixture(scope="session")
def tag_yaml() -> Callable[..., str]:
    """Return the YAML of one tag whose only interesting part is its rule."""

    def written(code: str, rule: str, type: str = "bool", **more: str) -> str:  # noqa: A002 -- the key's name
        body = {
            "label": "{zh: 标签, en: Label}",
            "layer": "3",
            "group": "test",
            "type": type,
            "goal": "{zh: 目的, en: Goal}",
            "purpose": "P07",
            "sensitivity": "5",
            "owner": "operator",
            "version": "1",
            "tests": "[]",
        } | more
        lines = [f"  - code: {code}", *(f"    {key}: {value}" for key, value in body.items()), "    expression: |"]
        return "\n".join([*lines, *(f"      {line}" for line in rule.split("\n"))]) + "\n"

    return written


@pytest.fixture
def taxonomy_of(tmp_path: Path) -> Callable[..., Taxonomy]:
    """Load a taxonomy from tags written by ``tag_yaml``."""

    def load(*tags: str) -> Taxonomy:
        path = tmp_path / "taxonomy.yaml"
        path.write_text("taxonomy: made\nversion: 1\ntags:\n" + "".join(tags), encoding="utf-8")
        return load_taxonomy(path)

    return load


@pytest.fixture(scope="session")
def taxonomy_from_rules() -> Callable[[Mapping[str, Expression]], Taxonomy]:
    """Make a taxonomy of parsed rules that do not refer to each other."""

    def make(rules: Mapping[str, Expression]) -> Taxonomy:
        types = {"bool": TagType.BOOL, "text": TagType.ENUM, "number": TagType.NUMBER}
        label = Label("标签", "Label")
        tags = tuple(
            Tag(
                code=code,
                label=label,
                layer=1,
                group="test",
                type=types[type_of(rule)],
                values={},
                goal=label,
                purpose="P07",
                sensitivity=5,
                owner="operator",
                version=1,
                text="",
                rule=rule,
                examples=(),
                file="made",
                line=1,
            )
            for code, rule in rules.items()
        )
        return Taxonomy(name="made", version=1, hash="", tags=tags, layers=(tags,))

    return make


@pytest.fixture(scope="session")
def medical_taxonomy() -> Taxonomy:
    """The medical pack's taxonomy."""
    return load_taxonomy(builtin_pack_path("medical") / "taxonomy.yaml")
