"""Transfers abroad: distinct people a year, and what their number asks for (R10, R11).

Source: 促进和规范数据跨境流动规定 (CAC, 22 March 2024) articles 5, 7 and 8, read in a secondary source; the numbers
count from the first of January of the pack's time zone, over all recipients abroad together.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Final, assert_never

from sqlalchemy import Connection, Insert, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from consent.recipients import MechanismKind
from consent.tables import transfer
from kernel.catalogue import Catalogue, FieldClass
from kernel.ids import SubjectId
from kernel.oversight import DutyThresholds

_THRESHOLDS: Final = DutyThresholds()


class TransferNeed(StrEnum):
    """What the year's numbers ask for."""

    NOTHING = "nothing"
    CONTRACT_OR_CERTIFICATION = "contract_or_certification"
    SECURITY_ASSESSMENT = "security_assessment"


@dataclass(frozen=True, slots=True)
class TransferCount:
    """Distinct people of one year; ``sensitive``: those of them of whom something sensitive went abroad."""

    subjects: int
    sensitive: int


def need_of(count: TransferCount, thresholds: DutyThresholds = _THRESHOLDS) -> TransferNeed:
    """Return what is needed for so many people, by the law's numbers or those of the pack."""
    if count.sensitive >= thresholds.sensitive_for_assessment or count.subjects >= thresholds.subjects_for_assessment:
        return TransferNeed.SECURITY_ASSESSMENT
    if count.sensitive or count.subjects >= thresholds.subjects_for_contract:
        return TransferNeed.CONTRACT_OR_CERTIFICATION
    return TransferNeed.NOTHING


def suffices(mechanism: MechanismKind, need: TransferNeed) -> bool:
    """Say whether a recorded mechanism answers a need; an exemption answers none."""
    match need:
        case TransferNeed.NOTHING:
            return True
        case TransferNeed.CONTRACT_OR_CERTIFICATION:
            return mechanism is not MechanismKind.EXEMPT
        case TransferNeed.SECURITY_ASSESSMENT:
            return mechanism is MechanismKind.SECURITY_ASSESSMENT
        case _:
            assert_never(need)


def is_sensitive(catalogue: Catalogue, purpose: str, fields: Collection[str]) -> bool:
    """Say whether a transfer is of sensitive information: by its purpose, or by one of its fields."""
    known = (catalogue.fields[code] for code in fields if code in catalogue.fields)
    return catalogue.get_purpose(purpose).sensitive or any(FieldClass.SENSITIVE in field.classes for field in known)


def count_transfer(
    connection: Connection,
    catalogue: Catalogue,
    *,
    recipient: str,
    subjects: Collection[SubjectId],
    sensitive: bool,
    at: datetime,
) -> None:
    """Count people of whom a recipient abroad may now get something, each once a year; in the permit's transaction.

    Args:
        sensitive: see ``is_sensitive``; once it was so for a person, it stays so for the year.
        at: the permit's instant.
    """
    if not subjects:
        return
    facts = {"year": catalogue.year_of(at), "recipient": recipient, "sensitive": sensitive, "first_at": at}
    rows = [facts | {"subject_id": subject} for subject in sorted(set(subjects))]
    connection.execute(_counting(connection.dialect.name), rows)


def transfer_counts(connection: Connection, year: int) -> Mapping[str, TransferCount]:
    """Return for each recipient abroad how many distinct people of a calendar year it was permitted."""
    table = transfer.c
    statement = (
        select(table.recipient, func.count(), func.count().filter(table.sensitive))
        .where(table.year == year)
        .group_by(table.recipient)
        .order_by(table.recipient)
    )
    return {name: TransferCount(subjects, some) for name, subjects, some in connection.execute(statement).all()}


def total_transfers(connection: Connection, year: int) -> TransferCount:
    """Return the distinct people of a year over all recipients abroad: the number that the law's thresholds mean."""
    table = transfer.c
    of_year = table.year == year
    subjects = select(func.count(table.subject_id.distinct())).where(of_year).scalar_subquery()
    some = select(func.count(table.subject_id.distinct())).where(of_year, table.sensitive).scalar_subquery()
    row = connection.execute(select(subjects.label("subjects"), some.label("sensitive"))).one()
    return TransferCount(row.subjects, row.sensitive)


@cache
def _counting(dialect: str) -> Insert:
    statement = sqlite.insert(transfer) if dialect == "sqlite" else postgresql.insert(transfer)
    keys = [column.name for column in transfer.primary_key]
    kept = {"sensitive": or_(transfer.c.sensitive, statement.excluded.sensitive)}
    return statement.on_conflict_do_update(index_elements=keys, set_=kept)
