"""Options of commands that ask the log: from when, until when, where to go on, in which language."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

LAST_INDEX: Final = 2**53 - 1
"""As over HTTP: beyond any log, and a number that every store and every program can hold."""

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2999
"""As over HTTP (``consentry.acts``): far enough from the ends of the calendar for every sum made with a moment."""

_LANGUAGES: Final = frozenset({"zh", "en"})


def check_moment(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC; raises ``BadParameter`` for one that no log reaches."""
    if moment is None:
        return None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise typer.BadParameter(f"give a moment between {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment.replace(tzinfo=UTC)


def check_language(locale: str) -> str:
    """Return a locale as it was given; raises ``BadParameter`` for a language that there are no words in."""
    if locale.partition("-")[0].lower() not in _LANGUAGES:
        raise typer.BadParameter("there are words in zh-CN and en")
    return locale


Since = Annotated[datetime | None, typer.Option("--since", help="From this moment (UTC).", callback=check_moment)]
Until = Annotated[datetime | None, typer.Option("--until", help="Before this moment (UTC).", callback=check_moment)]
After = Annotated[int | None, typer.Option("--after", help="Go on after this index.", min=0, max=LAST_INDEX)]
WordsLocale = Annotated[str, typer.Option("--locale", help="Whose words: zh-CN or en.", callback=check_language)]
Words = Annotated[
    bool, typer.Option("--words", help="Open the stated reasons too; needs a token whose role reviews accesses.")
]
