"""Looks into FHIR JSON: elements by path, times, codings; what is not of the expected kind is absent."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final, TypeAlias

from consentry.sources.codes import SYSTEMS
from consentry.sources.records import RowFault, RowRefused

Element: TypeAlias = Mapping[str, object]
"""A resource or a part of one, as JSON gives it; numbers with a point are ``Decimal``."""

NOTHING: Final[Element] = {}
_DAY: Final = len("2026-01-31")
_MONTH: Final = len("2026-01")
_YEAR: Final = len("2026")


def part(element: Element, *path: str) -> Element:
    """Return the element at the end of a path; of a list its first; an empty one where there is none."""
    for step in path:
        found = element.get(step)
        if isinstance(found, list):
            found = found[0] if found else None
        if not isinstance(found, dict):
            return NOTHING
        element = found
    return element


def parts(element: Element, name: str) -> Iterator[Element]:
    """Yield the elements of a list, or the one that stands there."""
    found = element.get(name)
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, dict):
            yield item


def text(element: Element, *path: str) -> str | None:
    """Return the text at the end of a path, or None."""
    found = part(element, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) and found.strip() else None


def texts(element: Element, name: str) -> list[str]:
    """Return the texts of a list."""
    found = element.get(name)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def codings(concept: Element) -> Iterator[tuple[str, str]]:
    """Yield short system name and code of each coding; a system that has no short name here is ``local``."""
    for coding in parts(concept, "coding"):
        code = text(coding, "code")
        if code is not None:
            yield SYSTEMS.get(text(coding, "system") or "", "local"), code


def has_code(concepts: Iterator[Element], wanted: frozenset[str]) -> bool:
    """Say whether one of the concepts carries one of the codes, of whatever system."""
    return any(code in wanted for concept in concepts for _, code in codings(concept))


def words(concept: Element) -> str | None:
    """Return a concept's own text, or the display of its first coding."""
    return text(concept, "text") or text(concept, "coding", "display")


def instant(written: str, zone: tzinfo) -> datetime:
    """Return the instant of a FHIR dateTime in UTC; of a bare year, month or day its first instant in the zone.

    Raises:
        RowRefused: no such time.
    Source: FHIR R4, datatypes, dateTime.
    """
    padded = {_YEAR: f"{written}-01-01", _MONTH: f"{written}-01"}.get(len(written), written)
    try:
        read = datetime.fromisoformat(padded)
        return (read.replace(tzinfo=zone) if read.tzinfo is None else read).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowRefused(RowFault.BAD_DATE) from None


def day(written: str) -> str | None:
    """Return the day of a FHIR date or dateTime as written; None for a bare year or month."""
    return written[:_DAY] if len(written) >= _DAY else None
