"""From a call of the gate to its question: the terms, the instant, and the judgements that are known already."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from consent.alike import Known
from consent.past import check_past
from consent.register_head import has_moved
from consent.rules import Question
from consent.situations import Moment
from consent.terms import PurposeTerms, Terms, read_terms
from kernel.catalogue import Catalogue, Purpose
from kernel.ports import Clock

_MOST: Final = 4_096
"""Questions and judgements that are remembered; field names and recipients come from outside and have no end."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question, and what is known about everybody to whom it applies alike."""

    question: Question
    known: Known


@dataclass(frozen=True, slots=True)
class _Remembered:
    terms: PurposeTerms
    known: Known


class Inquirer:
    """Makes the gate's questions; keeps the terms while the register's revision stands, and judgements with them."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._terms: Terms | None = None
        self._remembered: dict[tuple[str, str | None, tuple[str, ...]], _Remembered] = {}

    def begin(
        self,
        connection: Connection,
        purpose: Purpose,
        fields: Collection[str],
        recipient: str | None,
        moment: Moment,
        *,
        as_of: datetime | None = None,
        counting_uses: bool = True,
    ) -> Inquiry:
        """Return the question.

        Args:
            connection: the transaction in which ``moment`` was read.
            purpose: of the catalogue.
            fields: their order does not matter.
            recipient: None for nobody outside.
            moment: the register's revision and the log's time.
            as_of: None for now, which is never before the log's time: a clock set back revives nothing.
            counting_uses: see ``Question``.

        Raises:
            BadInput: ``as_of`` lies in the future.
            Unavailable: the gate is suspended, and it is asked about now.
        """
        now = self._clock.now()
        if moment.latest is not None and moment.latest > now:
            now = moment.latest
        terms = self._current_terms(connection, moment.revision)
        if as_of is None:
            terms.check_open()
        else:
            now = check_past(as_of, now)
        of_purpose = terms.for_purpose(purpose, recipient, now, by_then=as_of is not None)
        asked = tuple(sorted(set(fields)))
        return Inquiry(
            Question(purpose, recipient, asked, of_purpose, now, counting_uses),
            self._known((purpose.code, recipient, asked), of_purpose),
        )

    def _current_terms(self, connection: Connection, revision: int) -> Terms:
        known = self._terms
        if known is None or known.revision != revision or has_moved(connection):
            known = self._terms = read_terms(connection, known)
        return known

    def _known(self, key: tuple[str, str | None, tuple[str, ...]], terms: PurposeTerms) -> Known:
        found = self._remembered.get(key)
        if found is None or found.terms is not terms or len(found.known) > _MOST:
            if len(self._remembered) >= _MOST:
                self._remembered.clear()
            found = self._remembered[key] = _Remembered(terms, Known({}, {}))
        return found.known
