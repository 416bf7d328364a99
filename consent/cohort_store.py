"""The statements of a cohort check: verdicts in, unknown keys out, the tally and digest of a batch, its uses."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Integer,
    Select,
    String,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from consent.cohort_people import Batch
from consent.cohort_sql import KeyPlan, keyed
from consent.rules import Track
from consent.tables import cohort_shape, cohort_verdict, consent_current, decision_use
from consent.verdicts import Judgement
from kernel.database import Instant
from kernel.errors import Conflict
from kernel.ids import PermitId, SubjectId
from kernel.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Shape:
    """What everybody with one key is answered; ``number`` is that of the stored shape."""

    number: int
    judgement: Judgement
    by_basis: bool
    by_consent: bool


class CohortStore:
    """Runs them in one plan; parameters are those of the batch and ``purpose``, ``recipient``, ``now``, ``cohort``."""

    def __init__(self, plan: KeyPlan, people: FromClause, of_batch: ColumnElement[bool]) -> None:
        self._plan = plan
        self._found = keyed(plan, people)
        self._of_batch = of_batch

    def store(self, connection: Connection, given: Mapping[str, object], shapes: Mapping[str, Shape]) -> None:
        """Insert the verdicts of those of a batch whose key is among the shapes."""
        if shapes:
            connection.execute(self._insert, {**given, **self._known(shapes)})

    def keys(self, connection: Connection, given: Mapping[str, object]) -> list[str]:
        """Return the distinct keys of a batch."""
        return list(connection.execute(self._distinct, given).scalars())

    @cached_property
    def _distinct(self) -> Select[*tuple[Any, ...]]:
        return select(self._found.situation).select_from(self._found.source).where(self._of_batch).distinct()

    @cached_property
    def _insert(self) -> Insert:
        """Look every key up among the known ones.

        An outer join with a condition that hides it from the planner: as an inner one SQLite would go through the
        people once for each known key.
        """
        found, known = self._found, _known(self._plan.dialect)
        rows = (
            select(
                bindparam("cohort", type_=String),
                found.subject,
                known.c.shape,
                case((known.c.by_basis, found.decisions[Track.BASIS])),
                case((known.c.by_consent, found.decisions[Track.CONSENT])),
            )
            .select_from(found.source.outerjoin(known, known.c.situation == found.situation))
            .where(self._of_batch, func.coalesce(known.c.shape, 0) > 0)
        )
        return insert(cohort_verdict).inline().from_select(_VERDICT, rows)

    def _known(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        if self._plan.dialect == "sqlite":
            rows = [[key, shape.number, shape.by_basis, shape.by_consent] for key, shape in shapes.items()]
            return {"known": json.dumps(rows)}
        found = list(shapes.values())
        return {
            "keys": list(shapes),
            "numbers": [shape.number for shape in found],
            "bases": [shape.by_basis for shape in found],
            "consents": [shape.by_consent for shape in found],
        }


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


def tally(connection: Connection, cohort_id: str, batch: Batch) -> dict[int, int]:
    """Return how many of a batch have each shape."""
    rows = _TALLY.rows(connection, cohort=cohort_id, first=batch.first, last=batch.last)
    return {shape: size for shape, size in rows}  # noqa: C416 - rows are no pairs to the type checker


def digest_of(connection: Connection, cohort_id: str, batch: Batch) -> str:
    """Return the SHA-256 over the verdict rows of a batch: a line each, sorted by subject.

    A line is subject, shape, basis decision and consent decision, separated by spaces.
    """
    lines = _lines(connection.dialect.name).rows(connection, cohort=cohort_id, first=batch.first, last=batch.last)
    return sha256((lines[0][0] or "").encode()).hexdigest()


def permitted_subjects(
    connection: Connection, cohort_id: str, batch: Batch, shapes: Collection[int]
) -> list[SubjectId]:
    """Return those of a batch whose shape is among the given ones."""
    verdict = cohort_verdict.c
    among = select(verdict.subject_id).where(*_of_batch(cohort_id, batch), verdict.shape.in_(shapes))
    return [SubjectId(subject) for subject in connection.execute(among).scalars()]


def counted_in(connection: Connection, purpose: str, batch: Batch) -> list[SubjectId]:
    """Return those between the ends of a batch with a decision whose uses are counted."""
    rows = _COUNTED.rows(connection, purpose=purpose, first=batch.first, last=batch.last)
    return [SubjectId(subject) for (subject,) in rows]


def spend_batch(
    connection: Connection, cohort_id: str, batch: Batch, *, purpose: str, permit_id: PermitId, at: datetime
) -> None:
    """Take one use of each counted decision that a batch's verdicts rest on.

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
    used = select(current.decision_id, literal(permit_id), literal(at, type_=Instant())).where(*counted)
    taking = insert(decision_use).inline().from_select(["decision_id", "permit_id", "used_at"], used)
    taken = connection.execute(taking, execution_options={"preserve_rowcount": True})
    left = current.uses < current.max_uses
    moved = connection.execute(update(consent_current).where(*counted, left).values(uses=current.uses + 1))
    if moved.rowcount != taken.rowcount:
        raise Conflict("A decision of this cohort has no use left", hint="Ask the gate again.")


def _of_batch(cohort_id: str, batch: Batch) -> tuple[ColumnElement[bool], ...]:
    verdict = cohort_verdict.c
    return verdict.cohort_id == cohort_id, verdict.subject_id.between(batch.first, batch.last)


@cache
def _lines(dialect: str) -> Prepared:
    verdict = cohort_verdict.c
    line = verdict.subject_id + " " + cast(verdict.shape, String) + " " + func.coalesce(verdict.basis_decision, "")
    line = line + " " + func.coalesce(verdict.consent_decision, "")
    ordered = select(line.label("line")).where(*_IN_BATCH).order_by(verdict.subject_id)
    found = ordered.subquery()  # both engines aggregate the rows of an ordered subquery in their order
    joined = func.group_concat if dialect == "sqlite" else func.string_agg
    return Prepared(select(joined(found.c.line, "\n")))


def _known(dialect: str) -> FromClause:
    if dialect != "sqlite":
        types = {"keys": String, "numbers": Integer, "bases": Boolean, "consents": Boolean}
        arrays: list[ColumnElement[Any]] = [bindparam(name, type_=ARRAY(of)) for name, of in types.items()]
        return func.unnest(*arrays).table_valued("situation", "shape", "by_basis", "by_consent").render_derived("known")
    rows = func.json_each(bindparam("known", type_=String)).table_valued("value")
    members = {"situation": String, "shape": Integer, "by_basis": Boolean, "by_consent": Boolean}
    columns: list[ColumnElement[Any]] = [
        func.json_extract(rows.c.value, f"$[{place}]", type_=of).label(name)
        for place, (name, of) in enumerate(members.items())
    ]
    return select(*columns).cte("known").prefix_with("MATERIALIZED")


_VERDICT: Final = [column.name for column in cohort_verdict.columns]
_IN_BATCH: Final = (
    cohort_verdict.c.cohort_id == bindparam("cohort"),
    cohort_verdict.c.subject_id.between(bindparam("first"), bindparam("last")),
)
_TALLY: Final = Prepared(
    select(cohort_verdict.c.shape, func.count()).where(*_IN_BATCH).group_by(cohort_verdict.c.shape)
)
_COUNTED: Final = Prepared(
    select(consent_current.c.subject_id)
    .where(
        consent_current.c.purpose == bindparam("purpose"),
        consent_current.c.max_uses.is_not(None),
        consent_current.c.subject_id.between(bindparam("first"), bindparam("last")),
    )
    .distinct()
)
