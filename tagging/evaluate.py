"""Compute all tags of a taxonomy for every subject of a view, in one DuckDB query."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.errors import BadInput
from tagging.duck import NUMBER, Emitter, Parameter
from tagging.errors import InputRefused
from tagging.schema import EVENT_COLUMNS, PSEUDONYM, SUBJECT_COLUMNS
from tagging.session import Session, check_columns, check_one_row_each, locked, source
from tagging.syntax import EventMeasure, Expression, Measure, measures, own_columns
from tagging.taxonomy import Tag, Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa

TIME_ZONE: Final = "Asia/Shanghai"
"""Days and hours of events are those of this time zone."""


@dataclass(frozen=True, slots=True)
class Query:
    """SQL made of our own words, and its parameters ``$1``, ``$2`` … in order."""

    sql: str
    parameters: tuple[Parameter, ...]


def evaluate(
    taxonomy: Taxonomy, *, subjects: Path, events: Path, as_of: date, withheld: Collection[str] = ()
) -> "pa.Table":
    """Compute every tag of every subject.

    Args:
        taxonomy: the tags.
        subjects: Parquet file of the subject view.
        events: Parquet file of the event view, of the same pseudonym scope.
        as_of: the last natural day that counts; later events are as if they had not happened yet.
        withheld: pseudonyms that are left out, because their consent ended after the view was built.
    Returns:
        ``pseudonym`` and one column a tag in the taxonomy's order (bool, string or decimal(18, 4); NULL is unknown),
        one row a subject, sorted by pseudonym.
    Raises:
        InputRefused: a file that is not one of the views.
    """
    check_as_of(as_of)
    with locked(subjects, events) as (session, paths):
        check_inputs(session, taxonomy.tags, subjects=paths[0], events=paths[1])
        query = tag_query(taxonomy, subjects=paths[0], events=paths[1], as_of=as_of, withheld=withheld)
        return session.table(query.sql, query.parameters)


def check_as_of(as_of: object) -> None:
    """Check that a day was given and not an instant, whose day would depend on a time zone; raises ``BadInput``."""
    if not isinstance(as_of, date) or isinstance(as_of, datetime):
        raise BadInput("as_of must be a day", hint="Give a date such as 2026-11-21.")


def check_inputs(session: Session, tags: Iterable[Tag], *, subjects: Path, events: Path) -> None:
    """Check that both files are the views that the tags' rules read; raises ``InputRefused``."""
    rules = [tag.rule for tag in tags]
    check_columns(session, subjects, SUBJECT_COLUMNS, needed_columns(rules))
    check_columns(session, events, EVENT_COLUMNS, needed_event_columns(rules))
    check_one_row_each(session, subjects)
    _check_days(session, events)


def needed_columns(rules: Iterable[Expression]) -> frozenset[str]:
    """Return the columns of the subject view that rules read."""
    return frozenset(column.name for rule in rules for column in own_columns(rule))


def needed_event_columns(rules: Iterable[Expression]) -> frozenset[str]:
    """Return the columns of the event view that rules read; the hour and the day always."""
    inner = (node for rule in rules for measure in measures(rule) for node in _parts(measure))
    return frozenset({"at", "day", "hour"} | {column.name for node in inner for column in own_columns(node)})


def tag_query(
    taxonomy: Taxonomy, *, subjects: Path, events: Path, as_of: date, withheld: Collection[str] = ()
) -> Query:
    """Return the query that computes all tags: events once, then the tags group by group."""
    emitter = Emitter()
    wanted = dict.fromkeys(measure for tag in taxonomy.tags for measure in measures(tag.rule))
    emitter.names.update({measure: f"e{number}" for number, measure in enumerate(wanted)})
    emitter.names.update({tag.code: f"t{number}" for number, tag in enumerate(taxonomy.tags)})
    measured = _measured(emitter, list(wanted), events, as_of)
    sql = _base(emitter, taxonomy, list(wanted), measured, _people(emitter, subjects, withheld))
    for layer in taxonomy.layers:
        columns = ", ".join(f"{emitter.emit(tag.rule)} AS {emitter.names[tag.code]}" for tag in layer)
        sql = f"SELECT *, {columns} FROM ({sql})"
    outputs = "".join(f', {emitter.names[tag.code]} AS "{tag.code}"' for tag in taxonomy.tags)
    return Query(f"SELECT {PSEUDONYM}{outputs} FROM ({sql}) ORDER BY {PSEUDONYM}", tuple(emitter.parameters))


def _measured(emitter: Emitter, wanted: list[EventMeasure], events: Path, as_of: date) -> str:
    """Return the query of the event measures, one row an owner of events."""
    aggregates = "".join(f", {emitter.measure(measure, as_of)} AS {emitter.names[measure]}" for measure in wanted)
    return (
        f"SELECT {PSEUDONYM} AS owner{aggregates} FROM {source(emitter.bind(str(events)))}"
        f' WHERE "day" <= {emitter.day(as_of)} GROUP BY {PSEUDONYM}'
    )


def _people(emitter: Emitter, subjects: Path, withheld: Collection[str]) -> str:
    kept = f"{PSEUDONYM} NOT IN (SELECT unnest(CAST({emitter.bind(sorted(withheld))} AS VARCHAR[])))"
    return f"SELECT * FROM {source(emitter.bind(str(subjects)))} WHERE {kept}"


def _base(emitter: Emitter, taxonomy: Taxonomy, wanted: list[EventMeasure], measured: str, people: str) -> str:
    """Return the query of one row a subject: the columns that rules read, and the event measures."""
    columns = [f'"{name}"' for name in sorted(needed_columns(tag.rule for tag in taxonomy.tags) | {PSEUDONYM})]
    columns += [_or_nothing_happened(measure, emitter.names[measure]) for measure in wanted]
    return f"SELECT {', '.join(columns)} FROM ({people}) LEFT JOIN ({measured}) ON {PSEUDONYM} = owner"


def _or_nothing_happened(measure: EventMeasure, name: str) -> str:
    """For a subject without any event: counts and sums are 0, the days since the last one are unknown."""
    if measure.measure is Measure.LAST_DAYS:
        return name
    return f"CASE WHEN owner IS NULL THEN CAST(0 AS {NUMBER}) ELSE {name} END AS {name}"


def _parts(measure: EventMeasure) -> tuple[Expression, ...]:
    return (measure.condition,) if measure.summed is None else (measure.condition, measure.summed)


def _check_days(session: Session, events: Path) -> None:
    """Check that each event's day and hour are those of its instant: a shifted midnight would move every window."""
    local = f"timezone('{TIME_ZONE}', CAST(\"at\" AS TIMESTAMP WITH TIME ZONE))"
    sql = (
        f'SELECT count(*) FROM {source("$1")} WHERE "day" IS NULL OR "day" <> CAST({local} AS DATE)'
        f' OR "hour" <> hour({local})'
    )
    ((wrong,),) = session.rows(sql, [str(events)])
    if wrong:
        raise InputRefused(
            f"{events.name}: {wrong} events whose day or hour is not that of {TIME_ZONE}", hint="Build the view again."
        )
