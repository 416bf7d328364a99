"""The statements of a cohort check: verdicts in, unknown keys out, what a batch left with its digest, its uses."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

from consent.cohort_people import Batch, Population, source_of
from consent.cohort_sql import Key, KeyPlan, key_columns, keyed
from consent.rules import Track
from consent.tables import cohort_check, cohort_shape, cohort_verdict, consent_current, decision_use
from consent.uses import hold_uses
from consent.verdicts import Judgement
from kernel.database import Instant
from kernel.errors import Conflict
from kernel.ids import PermitId, SubjectId
from kernel.prepared import Prepared

UNKNOWN_SHAPE: Final = 0
"""Stands in a verdict for a moment, while its key has not been judged yet."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What everybody with one key is answered; ``number`` is that of the stored shape."""

    number: int
    judgement: Judgement
    by_basis: bool
    by_consent: bool


@dataclass(frozen=True, slots=True)
class Left:
    """What a batch left in ``cohort_verdict``: how many have each shape, and the SHA-256 over its rows."""

    counts: Mapping[int, int]
    digest: str


class CohortStatements:
    """Those that depend on what is asked about; parameters are those of the batch and of ``cohort_sql.Keyed``."""

    def __init__(self, plan: KeyPlan, population: Population | None) -> None:
        people, self._of_batch = source_of(population, plan.dialect)
        self._found = keyed(plan, people)
        self._columns = {**key_columns(plan), **_ANSWER}
        self._known = _from_json(self._columns) if plan.dialect == "sqlite" else _from_arrays(self._columns)
        self._is_sqlite = plan.dialect == "sqlite"

    def known(self, shapes: Mapping[Key, Shape]) -> dict[str, object]:
        """Return the parameters of ``insert`` that say what is known."""
        rows = [[*key, shape.number, shape.by_basis, shape.by_consent] for key, shape in shapes.items()]
        if self._is_sqlite:
            return {"known": json.dumps(rows)}
        return {f"known_{name}": [row[place] for row in rows] for place, name in enumerate(self._columns)}

    @cached_property
    def keys(self) -> Prepared:
        """Give the distinct keys of a batch."""
        found = self._found
        parts = [part.label(name) for part, name in zip(found.key, self._columns, strict=False)]
        return Prepared(select(*parts).select_from(found.source).where(self._of_batch).distinct())

    @cached_property
    def insert(self) -> Prepared:
        """Insert the verdicts of a batch, with ``UNKNOWN_SHAPE`` where the key is not among the known ones.

        An outer join: as an inner one SQLite would go through the people once for each known key.
        """
        found, known = self._found, self._known
        same = and_(*(known.c[name] == part for name, part in zip(self._columns, found.key, strict=False)))
        rows = (
            select(
                bindparam("cohort", type_=String),
                found.subject,
                func.coalesce(known.c.shape, literal_column(str(UNKNOWN_SHAPE))),
                case((known.c.by_basis, found.decisions[Track.BASIS])),
                case((known.c.by_consent, found.decisions[Track.CONSENT])),
            )
            .select_from(found.source.outerjoin(known, same))
            .where(self._of_batch)
        )
        return Prepared(insert(cohort_verdict).inline().from_select(_VERDICT, rows))


statements_of = lru_cache(maxsize=64)(CohortStatements)
"""Their text is made once for all checks that ask alike."""


def clear_batch(connection: Connection, cohort_id: str, batch: Batch) -> None:
    """Take the verdicts of a batch out again, within its transaction."""
    _CLEAR.rows(connection, cohort=cohort_id, first=batch.first, last=batch.last)


def left_by(connection: Connection, cohort_id: str, batch: Batch) -> Left:
    """Read once what a batch left.

    The digest is over four lines, each with its values in the order of the subjects, separated by spaces: the subjects,
    their shapes, the decisions of basis, those of consent, ``-`` for none.
    """
    given = {"cohort": cohort_id, "first": batch.first, "last": batch.last}
    (lines,) = _left(connection.dialect.name).rows(connection, **given)
    shapes = Counter((lines[1] or "").split())
    digest = sha256("\n".join(line or "" for line in lines).encode()).hexdigest()
    return Left({int(shape): size for shape, size in shapes.items()}, digest)


def store_shapes(connection: Connection, cohort_id: str, shapes: Iterable[Shape]) -> None:
    """Store what the numbers of shapes mean; one that is stored already is left as it is."""
    rows = {
        shape.number: {
            "cohort_id": cohort_id,
            "shape": shape.number,
            "passed": json.dumps(sorted(shape.judgement.passed)),
            "refused": json.dumps({code: why.value for code, why in sorted(shape.judgement.refused.items())}),
        }
        for shape in shapes
    }
    if rows:
        connection.execute(insert(cohort_shape), list(rows.values()))


def permitted_subjects(
    connection: Connection, cohort_id: str, batch: Batch, shapes: Collection[int]
) -> list[SubjectId]:
    """Return those of a batch whose shape is among the given ones."""
    verdict = cohort_verdict.c
    among = select(verdict.subject_id).where(*_of_batch(cohort_id, batch), verdict.shape.in_(shapes))
    return [SubjectId(subject) for subject in connection.execute(among).scalars()]


def forget_verdicts(connection: Connection, subject: SubjectId) -> None:
    """Delete what cohorts were told of a subject; their batches' entries keep counts and a digest."""
    asked = select(cohort_check.c.cohort_id)  # the key begins with it
    mine = cohort_verdict.c.cohort_id.in_(asked), cohort_verdict.c.subject_id == subject
    connection.execute(delete(cohort_verdict).where(*mine))


def hold_counted(connection: Connection, purpose: str, batch: Batch) -> None:
    """Hold the decisions between the ends of a batch whose uses are counted; on SQLite the transaction does."""
    if connection.dialect.name == "sqlite":
        return
    rows = _COUNTED.rows(connection, purpose=purpose, first=batch.first, last=batch.last)
    hold_uses(connection, [SubjectId(subject) for (subject,) in rows], purpose=purpose)


def spend_batch(
    connection: Connection, cohort_id: str, batch: Batch, *, purpose: str, permit_id: PermitId, at: datetime
) -> list[str]:
    """Take one use of each counted decision that a batch's verdicts rest on, and return their ids.

    Raises:
        Conflict: none is left of one of them; nothing may be permitted then.
    """
    current, verdict = consent_current.c, cohort_verdict.c
    rests = exists().where(
        *_of_batch(cohort_id, batch),
        verdict.subject_id == current.subject_id,
        or_(verdict.basis_decision == current.decision_id, verdict.consent_decision == current.decision_id),
    )
    counted = current.purpose == purpose, current.max_uses.is_not(None), rests
    ids = list(connection.scalars(select(current.decision_id).where(*counted)))
    used = select(current.decision_id, literal(permit_id), literal(at, type_=Instant())).where(*counted)
    taking = insert(decision_use).inline().from_select(["decision_id", "permit_id", "used_at"], used)
    taken = connection.execute(taking, execution_options={"preserve_rowcount": True})
    left = current.uses < current.max_uses
    moved = connection.execute(update(consent_current).where(*counted, left).values(uses=current.uses + 1))
    if moved.rowcount != taken.rowcount:
        raise Conflict("A decision of this cohort has no use left", hint="Ask the gate again.")
    return ids


def _of_batch(cohort_id: str, batch: Batch) -> tuple[ColumnElement[bool], ...]:
    verdict = cohort_verdict.c
    return verdict.cohort_id == cohort_id, verdict.subject_id.between(batch.first, batch.last)


@cache
def _left(dialect: str) -> Prepared:
    """Return the four lines of a batch.

    SQLite keeps a table without row ids in the order of its key, and this one has no other index to be read by;
    sorting once more would cost half as much again. PostgreSQL aggregates the rows of an ordered subquery in its order.
    """
    rows: FromClause = cohort_verdict
    joined = func.group_concat
    if dialect != "sqlite":
        rows = select(cohort_verdict).where(*_IN_BATCH).order_by(cohort_verdict.c.subject_id).subquery()
        joined = func.string_agg
    none: ColumnElement[str] = literal_column("'-'")
    values = (rows.c.subject_id, cast(rows.c.shape, String), func.coalesce(rows.c.basis_decision, none),
              func.coalesce(rows.c.consent_decision, none))  # fmt: skip
    lines = select(*(joined(value, literal_column("' '")) for value in values))
    return Prepared(lines.where(*_IN_BATCH) if dialect == "sqlite" else lines)


def _from_arrays(columns: Mapping[str, TypeEngine[Any]]) -> FromClause:
    arrays: list[ColumnElement[Any]] = [bindparam(f"known_{name}", type_=ARRAY(of)) for name, of in columns.items()]
    return func.unnest(*arrays).table_valued(*columns).render_derived("known")


def _from_json(columns: Mapping[str, TypeEngine[Any]]) -> FromClause:
    rows = func.json_each(bindparam("known", type_=String)).table_valued("value")
    parts: list[ColumnElement[Any]] = [
        func.json_extract(rows.c.value, literal_column(f"'$[{place}]'"), type_=of).label(name)
        for place, (name, of) in enumerate(columns.items())
    ]
    return select(*parts).cte("known").prefix_with("MATERIALIZED")


_ANSWER: Final[Mapping[str, TypeEngine[Any]]] = {"shape": Integer(), "by_basis": Boolean(), "by_consent": Boolean()}
_VERDICT: Final = [column.name for column in cohort_verdict.columns]
_IN_BATCH: Final = (
    cohort_verdict.c.cohort_id == bindparam("cohort"),
    cohort_verdict.c.subject_id.between(bindparam("first"), bindparam("last")),
)
_CLEAR: Final = Prepared(delete(cohort_verdict).where(*_IN_BATCH))
_COUNTED: Final = Prepared(
    select(consent_current.c.subject_id)
    .where(
        consent_current.c.purpose == bindparam("purpose"),
        consent_current.c.max_uses.is_not(None),
        consent_current.c.subject_id.between(bindparam("first"), bindparam("last")),
    )
    .distinct()
)
