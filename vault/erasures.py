"""The register of erasures, read: what was asked for, what became of it, and whether it is final."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from kernel.errors import NotFound
from kernel.ids import SubjectId
from vault.certificates import Certificate
from vault.scopes import Scope, Why, scope_of
from vault.tables import erasure


@dataclass(frozen=True, slots=True)
class ErasureView:
    """One erasure.

    Attributes:
        state: started, restricted or erased.
        fields: codes of which something went, where the subject stays.
        held_until: when the last hold on what is left ends.
        final_at: when it is final at the latest; None where it is not finished, and for what an older version did.
        final_entry: the entry that says that it is final; None until then.
    """

    erasure_id: str
    subject: SubjectId
    state: str
    scope: Scope
    why: Why | None
    fields: tuple[str, ...]
    started_at: datetime
    finished_at: datetime | None
    held_until: datetime | None
    counts: Mapping[str, int]
    final_at: datetime | None
    final_entry: str | None
    certificate: Certificate | None


def get_erasure(connection: Connection, erasure_id: str) -> ErasureView:
    """Return one erasure; raises ``NotFound``."""
    row = connection.execute(_query().where(erasure.c.erasure_id == erasure_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no erasure {erasure_id}", hint="`consentry erasure list` names them.")
    return _view(row)


def list_erasures(
    connection: Connection, *, subject: SubjectId | None = None, after: str = "", limit: int = 100
) -> Sequence[ErasureView]:
    """Return erasures by their ids, those after the given one; of one subject, or of all."""
    query = _query().where(erasure.c.erasure_id > after)
    if subject is not None:
        query = query.where(erasure.c.subject_id == subject)
    return [_view(row) for row in connection.execute(query.order_by(erasure.c.erasure_id).limit(limit))]


def _query() -> Select[*tuple[Any, ...]]:
    return select(erasure)


def _view(row: Row[*tuple[Any, ...]]) -> ErasureView:
    return ErasureView(
        erasure_id=row.erasure_id,
        subject=SubjectId(row.subject_id),
        state=row.state,
        scope=scope_of(row.scope, row.fields),
        why=None if row.why is None else Why(row.why),
        fields=() if row.fields is None else tuple(json.loads(row.fields)),
        started_at=row.started_at,
        finished_at=row.finished_at,
        held_until=row.restricted_until,
        counts=row.counts,
        final_at=row.final_at,
        final_entry=row.final_entry,
        certificate=None if row.certificate is None else Certificate(row.certificate, row.signature),
    )
