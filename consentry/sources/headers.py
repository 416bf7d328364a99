"""Tells names of columns from values that stand in their place, so that a value is never shown as a name."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from consentry.sources.cleaning import fold, parse_date, parse_mobile
from consentry.sources.records import RowRefused, SourceError

MAX_NAME_CHARACTERS: Final = 64

_SHOWN_NAMES: Final = 20
_SHOWN_CHARACTERS: Final = 40

_ID_NUMBER: Final = re.compile(r"[0-9]{6}[\s-]?[0-9]{4}[\s-]?[0-9]{4}[\s-]?[0-9]{3}[0-9X]", re.IGNORECASE)
"""An ID number in groups; one without is a long number."""

_EMAIL: Final = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]")
_DAY_FIRST: Final = re.compile(r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{2}){1,2}(?:[T\s].*)?")
_LONG_NUMBER: Final = re.compile(r"[0-9]{8}")
"""Eight digits in a row are a day, a telephone, a card or an account; no name of a column needs them."""


def looks_like_value(name: str) -> bool:
    """Say whether a header cell is rather a value: an ID number, a mobile, a date, an e-mail, a long number or text."""
    folded = fold(name[: MAX_NAME_CHARACTERS + 1])
    if len(name.strip()) > MAX_NAME_CHARACTERS or len(folded) > MAX_NAME_CHARACTERS:
        return True
    return (
        any(pattern.search(folded) for pattern in (_LONG_NUMBER, _EMAIL))
        or any(pattern.fullmatch(folded) for pattern in (_ID_NUMBER, _DAY_FIRST))
        or any(_can_read(parse, folded) for parse in (parse_date, parse_mobile))
    )


def check_is_header(file: str, names: Iterable[str], *, known: Iterable[str] = ()) -> None:
    """Check that a first row names columns.

    Args:
        file: its name, for the message. names: the cells of the first row, or the keys of the first line.
        known: names that a map reads or ignores; a person wrote them as names.
    Raises:
        SourceError: a cell looks like a value; the message has its place, and none of the cells.
    """
    expected = frozenset(known)
    for place, name in enumerate(names, start=1):
        if name not in expected and looks_like_value(name):
            raise SourceError(
                f"{file}: the first row is no header: column {place} looks like a value",
                hint=f"Name the columns in the first row, each in at most {MAX_NAME_CHARACTERS} characters "
                "and without ID numbers, telephones, dates or addresses.",
            )


def shown_names(names: Sequence[str]) -> str:
    """Return names for a message; in the place of one that looks like a value there is a note."""
    return ", ".join(shown_name(name) for name in names[:_SHOWN_NAMES])


def shown_name(name: str) -> str:
    """Return a name for a message, at most 40 characters of it, and nothing of one that looks like a value."""
    return "(not shown: looks like a value)" if looks_like_value(name) else repr(name[:_SHOWN_CHARACTERS])


def _can_read(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except RowRefused:
        return False
    return True
