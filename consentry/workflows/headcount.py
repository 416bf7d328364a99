"""How many people's data is held, as minors, with sensitive fields, or went abroad; and when a number was reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Select, and_, func, or_, select, union_all

from audit.counters import Duty, Tally, thresholds_of
from consent.ages import ADULT_YEARS, CHILD_YEARS, AgeClass
from consent.recipients import MechanismKind, Recipient, list_recipients
from consent.standing import Standing
from consent.tables import subject_standing, transfer
from consent.transfers import need_of, suffices, total_transfers, transfer_counts
from consentry.platform import Platform
from kernel.catalogue import Catalogue, FieldClass
from vault.tables import attachment, batch, sealed_record

_HELD: Final = (Standing.ACTIVE.value, Standing.RESTRICTED.value)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Some people: where they are found, and since when each of them belongs to it."""

    connection: Connection
    since: Select[Any]

    @property
    def number(self) -> int:
        """How many there are."""
        return int(self.connection.scalar(select(func.count()).select_from(self.since.subquery())) or 0)

    def reached(self, number: int) -> datetime | None:
        """Return when there were so many of those who are there now; None where there are fewer."""
        ordered = self.since.order_by(self.since.selected_columns[0]).offset(number - 1).limit(1)
        found: datetime | None = self.connection.scalar(ordered)
        return found


@dataclass(frozen=True, slots=True)
class Exemption:
    """A transfer abroad that rests on an exemption: to whom, by which document until when, and of how many people."""

    recipient: str
    document: str
    until: date
    subjects: int


def count_people(platform: Platform, connection: Connection, *, today: date) -> Tally:
    """Return the numbers of today.

    Sensitive data is held of whom a value in a compartment with sensitive fields is stored, from the day on which the
    batch or the file that brought the first of them was opened.

    Args:
        platform: every part.
        connection: a read transaction of the data store.
        today: in the pack's time zone.
    """
    crowds = _crowds(platform.catalogue, connection, today)
    numbers = {name: crowd.number for name, crowd in crowds.items()}
    return Tally(
        **numbers,
        mechanisms_suffice=_mechanisms_suffice(platform.catalogue, connection, today.year),
        reached_on=dict(_reached(platform.catalogue, crowds)),
    )


def exemptions(connection: Connection, year: int) -> list[Exemption]:
    """Return what went abroad in a year under an exemption."""
    known = _recipients(connection)
    found = []
    for code, count in transfer_counts(connection, year).items():
        mechanism = known[code].text.mechanism if code in known else None
        if mechanism is not None and mechanism.kind == MechanismKind.EXEMPT.value:
            found.append(Exemption(code, mechanism.document, mechanism.until, count.subjects))
    return found


def _crowds(catalogue: Catalogue, connection: Connection, today: date) -> Mapping[str, _Crowd]:
    who = subject_standing.c
    held = select(who.registered_at).where(who.state.in_(_HELD), who.merged_into.is_(None))
    sent = select(func.min(transfer.c.first_at)).where(transfer.c.year == today.year).group_by(transfer.c.subject_id)
    fields = catalogue.fields.values()
    compartments = sorted({one.compartment.value for one in fields if FieldClass.SENSITIVE in one.classes})
    return {
        "subjects": _Crowd(connection, held),
        "minors": _Crowd(connection, held.where(_is_minor(today))),
        "sensitive": _Crowd(connection, _stored_since(compartments)),
        "abroad": _Crowd(connection, sent),
        "abroad_sensitive": _Crowd(connection, sent.where(transfer.c.sensitive)),
    }


def _stored_since(compartments: Sequence[str]) -> Select[Any]:
    """Return since when something of these compartments is stored of each subject.

    By rows and not by keys: a key may seal nothing but the copy of an identifier, and its age ends with its rotation.
    """
    rows = select(sealed_record.c.subject_id, batch.c.opened_at.label("at")).join(batch)
    files = select(attachment.c.subject_id, attachment.c.opened_at.label("at"))
    both = union_all(
        rows.where(sealed_record.c.compartment.in_(compartments)),
        files.where(attachment.c.compartment.in_(compartments)),
    ).subquery()
    return select(func.min(both.c.at)).group_by(both.c.subject_id)


def _is_minor(today: date) -> Any:  # noqa: ANN401 - a SQL expression
    """Return the condition of ``consent.ages.class_on`` for somebody who is not of age on a day."""
    who, years = subject_standing.c, ADULT_YEARS - CHILD_YEARS
    childhood_after = today.replace(year=today.year - years, day=1)  # ``age_class_until`` is the first of a month
    return or_(
        and_(who.age_class == AgeClass.UNDER_18.value, who.age_class_until > today),
        and_(who.age_class == AgeClass.UNDER_14.value, who.age_class_until > childhood_after),
    )


def _reached(catalogue: Catalogue, crowds: Mapping[str, _Crowd]) -> Iterator[tuple[Duty, date]]:
    zone = ZoneInfo(catalogue.time_zone)
    for duty in Duty:
        least = thresholds_of(duty, catalogue.oversight.duties)
        found = [at for name, number in least.items() if (at := crowds[name].reached(number)) is not None]
        if found:
            yield duty, min(found).astimezone(zone).date()


def _mechanisms_suffice(catalogue: Catalogue, connection: Connection, year: int) -> bool:
    need = need_of(total_transfers(connection, year), catalogue.oversight.duties)
    known = _recipients(connection)
    for code in transfer_counts(connection, year):
        mechanism = known[code].text.mechanism if code in known else None
        if mechanism is None or not suffices(MechanismKind(mechanism.kind), need):
            return False
    return True


def _recipients(connection: Connection) -> dict[str, Recipient]:
    return {one.code: one for one in list_recipients(connection)}
