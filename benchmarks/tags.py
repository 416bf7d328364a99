"""All tags of the medical taxonomy over two made-up views, beside the same tags in SQL written by hand for DuckDB."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from benchmarks.figures import Figure
from benchmarks.timing import best_beside

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Draw: TypeAlias = np.random.Generator

_T = TypeVar("_T")

ZONE: Final = ZoneInfo("Asia/Shanghai")
SUBJECTS: Final = 50_000
EVENTS: Final = 1_000_000
AS_OF: Final = date(2026, 11, 21)
SQL: Final = Path(__file__).with_name("tags_by_hand.sql")

_SEED: Final = 3
_ROUNDS: Final = 3
_DAYS: Final = 400
_AGES: Final = (*(f"{low}-{low + 4}" for low in range(0, 90, 5)), "90+", None)
_GROUPS: Final = ("E11", "I10", "J06", "E78", "K29", "J45", "M54")
_SYSTOLIC: Final = ("<90", "90-<120", "120-<130", "130-<140", "140-<160", "160-<180", ">=180", None)
_DIASTOLIC: Final = ("<60", "60-<80", "80-<90", "90-<100", "100-<110", ">=110", None)
_STATES: Final = ("none", "preparing", "pregnant", "postpartum", None)
_TYPES: Final = (
    "login", "page_view", "search", "article_read", "consult_started", "consult_finished", "purchase", "share",
    "invite", "reminder_kept", "reminder_missed", "self_test_done",
)  # fmt: skip
_FORMATS: Final = ("text", "video", "phone")
_STATUS: Final = ("paid", "completed", "refunded", "cancelled", None)


def run(*, subjects: int = SUBJECTS, events: int = EVENTS) -> list[Figure]:
    """Return the figure of this group; no target is set yet."""
    with tempfile.TemporaryDirectory() as folder:
        people, happened = write_views(Path(folder), subjects=subjects, events=events)
        return [measured(people, happened, subjects)]


def measured(people: Path, happened: Path, subjects: int) -> Figure:
    """Evaluate both ways, check that they agree, and return the speed.

    Raises:
        AssertionError: a tag differs; then one of the two is wrong, and its speed says nothing.
    """
    from kernel.pack import builtin_pack_path
    from tagging.evaluate import evaluate
    from tagging.taxonomy import load_taxonomy

    taxonomy = load_taxonomy(builtin_pack_path("medical") / "taxonomy.yaml")
    assert evaluate(taxonomy, subjects=people, events=happened, as_of=AS_OF).equals(by_hand(people, happened))
    ours, theirs = best_beside(
        lambda: evaluate(taxonomy, subjects=people, events=happened, as_of=AS_OF),
        lambda: by_hand(people, happened),
        rounds=_ROUNDS,
    )
    name = f"{len(taxonomy.tags)} tags of {subjects:,} subjects"
    return Figure("tags", name, subjects / ours, "subjects/s", "SQL by hand", subjects / theirs)


def by_hand(people: Path, happened: Path) -> "pa.Table":
    """Return the tags as hand-written SQL computes them."""
    import duckdb

    with duckdb.connect() as connection:
        parameters = {"subjects": str(people), "events": str(happened), "as_of": AS_OF}
        return connection.sql(SQL.read_text(encoding="utf-8"), params=parameters).to_arrow_table()


def write_views(folder: Path, *, subjects: int, events: int) -> tuple[Path, Path]:
    """Write both views with made-up rows; one subject in ten has no event."""
    import numpy as np
    import pyarrow.parquet as pq

    draw = np.random.default_rng(_SEED)
    names = [f"p{number:07}" for number in range(subjects)]
    people, happened = folder / "subjects.parquet", folder / "events.parquet"
    pq.write_table(_people(draw, names), people, compression="zstd")
    pq.write_table(_happened(draw, names[: max(1, subjects * 9 // 10)], events), happened, compression="zstd")
    return people, happened


def _people(draw: "Draw", names: Sequence[str]) -> "pa.Table":
    size = len(names)
    groups = [None if many == 0 else list(draw.choice(_GROUPS, many - 1)) for many in draw.integers(0, 4, size)]
    return _filled(
        "subject_profile",
        {
            "pseudonym": names,
            "age_band": _pick(draw, _AGES, size),
            "sex": _pick(draw, ("female", "male"), size),
            "diagnosis_groups": groups,
            "systolic_bin": _pick(draw, _SYSTOLIC, size),
            "diastolic_bin": _pick(draw, _DIASTOLIC, size),
            "reproductive_state": _pick(draw, _STATES, size),
        },
    )


def _happened(draw: "Draw", names: Sequence[str], events: int) -> "pa.Table":
    start = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=ZONE) - timedelta(days=_DAYS)
    moments = [start + timedelta(minutes=int(m)) for m in draw.integers(0, (_DAYS + 5) * 24 * 60, events)]
    types = _pick(draw, _TYPES, events)
    formats, status = _pick(draw, _FORMATS, events), _pick(draw, _STATUS, events)
    cents = draw.integers(100, 90_000, events)
    return _filled(
        "event_rows",
        {
            "pseudonym": _pick(draw, names, events),
            "event_type": types,
            "at": moments,
            "day": [moment.date() for moment in moments],
            "hour": [moment.hour for moment in moments],
            "format": [f if t.startswith("consult") else None for f, t in zip(formats, types, strict=True)],
            "amount": [Decimal(int(c)) / 100 if t == "purchase" else None for c, t in zip(cents, types, strict=True)],
            "status": [s if t == "purchase" else None for s, t in zip(status, types, strict=True)],
        },
    )


def _pick(draw: "Draw", options: Sequence[_T], size: int) -> list[_T]:
    return [options[place] for place in draw.integers(0, len(options), size)]


def _filled(view: str, columns: Mapping[str, Sequence[object]]) -> "pa.Table":
    """Return a table in the view's own schema; columns that no tag reads stay empty."""
    import pyarrow as pa

    from deid.schemas import arrow_schema
    from deid.views import load_views
    from kernel.pack import builtin_pack_path, load_pack

    pack = builtin_pack_path("medical")
    schema = arrow_schema(load_views(pack, load_pack(pack))[view])
    size = len(columns["pseudonym"])
    arrays = [pa.array(columns.get(field.name, [None] * size), field.type) for field in schema]
    return pa.table(arrays, schema=schema)
