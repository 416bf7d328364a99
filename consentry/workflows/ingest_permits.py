"""Under which permits the fields of a chunk are collected: purpose by purpose, and recipient by recipient.

For a purpose by recipient each field is collected under the first permit that covers it, in the order in which the
purpose declares its recipients. One is asked only for what its contract names and nobody before it was granted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection

from consent.asking import Asking
from consent.permits import CohortVerdict, Permit
from consent.reasons import Reason
from consent.recipients import list_recipients
from consentry.platform import Platform
from kernel.catalogue import Catalogue
from kernel.ids import SubjectId
from vault.records import PlainRecord

Fields: TypeAlias = Mapping[SubjectId, frozenset[str]]
"""Field codes by subject."""

Needs: TypeAlias = Mapping[str, Fields]
"""What the records of a chunk hold, by purpose of collection."""

Outlook: TypeAlias = Mapping[tuple[str, str | None], Fields]
"""What would pass, by purpose and recipient: beside the fields of a subject's own records those of others' too."""

_Answer: TypeAlias = Callable[[str | None, Fields], Fields]

_SAYS_LITTLE: Final = (Reason.RECIPIENT, Reason.NO_DECISION)
"""Reasons that give way to another recipient's, the one that says least first: that one pharmacy was not granted says
less than that another was asked for and refused."""


class Shelf(NamedTuple):
    """What the vault stores in one call.

    Attributes:
        permits: ids of those that take the place of the first of their purpose.
        is_rest: further parts of records whose first part stands on another shelf.
    """

    permits: tuple[str, ...] = ()
    is_rest: bool = False


@dataclass
class Granted:
    """What the gate said about one chunk: permits by purpose in the order of asking, and the reasons of what is left.

    A field of ``Needs`` that is not refused is covered by a permit of its purpose.
    """

    permits: dict[str, list[Permit]] = field(default_factory=dict)
    refused: dict[tuple[SubjectId, str], Reason] = field(default_factory=dict)

    def shelved(self, record: PlainRecord, catalogue: Catalogue) -> list[tuple[Shelf, PlainRecord]]:
        """Return a record with its shelf; in parts where several permits of one purpose cover it.

        The parts keep the record's id at its source, under which the vault puts them together again.
        """
        if all(len(permits) == 1 for permits in self.permits.values()):
            return [(Shelf(), record)]
        ranked: dict[str, dict[int, list[str]]] = {}  # by purpose and the permit's place
        for code in sorted(record.values):
            purpose = catalogue.get_field(code).collect
            covers = (
                place for place, permit in enumerate(self.permits[purpose]) if permit.allows(record.subject, code)
            )
            ranked.setdefault(purpose, {}).setdefault(next(covers), []).append(code)
        return list(self._parts(record, {purpose: sorted(of.items()) for purpose, of in ranked.items()}))

    def _parts(
        self, record: PlainRecord, ranked: Mapping[str, Sequence[tuple[int, list[str]]]]
    ) -> Iterator[tuple[Shelf, PlainRecord]]:
        for number in range(max(map(len, ranked.values()))):
            taken = [(purpose, *of[number]) for purpose, of in ranked.items() if number < len(of)]
            special = tuple(self.permits[purpose][place].permit_id for purpose, place, _ in taken if place)
            values = {code: record.values[code] for _, _, codes in taken for code in codes}
            yield Shelf(special, is_rest=number > 0), replace(record, values=values)

    def permits_of(self, shelf: Shelf) -> dict[str, Permit]:
        """Return the permits by purpose under which a shelf is stored."""
        first = {purpose: permits[0] for purpose, permits in self.permits.items()}
        special = (one for permits in self.permits.values() for one in permits if one.permit_id in shelf.permits)
        return first | {permit.purpose: permit for permit in special}

    def add(self, verdict: CohortVerdict, *, purpose: str, asked: Fields) -> Fields:
        """Take in the answer to one question, and return what it lets in of the fields that were asked for.

        Of several recipients' refusals the one that says most is kept, and none of a field that one of them is granted.
        """
        if verdict.permit is not None:
            self.permits.setdefault(purpose, []).append(verdict.permit)
        covered = {}
        for subject, codes in asked.items():
            reasons = verdict.refused.get(subject, {})
            covered[subject] = codes.difference(reasons) if reasons else codes
            if reasons or self.refused:
                for code in codes:
                    self._note(subject, code, reasons.get(code))
        return covered

    def _note(self, subject: SubjectId, code: str, why: Reason | None) -> None:
        before = self.refused.get((subject, code))
        if why is None:
            self.refused.pop((subject, code), None)
        elif before is None or _says(before) < _says(why):
            self.refused[subject, code] = why


@dataclass(frozen=True, slots=True)
class PermitDesk:
    """Asks the gate for the permits of a chunk."""

    platform: Platform
    asking: Asking

    def preview(self, connection: Connection, needs: Needs) -> Outlook:
        """Return what would pass now; opens nothing."""
        outlook: dict[tuple[str, str | None], Fields] = {}
        for purpose in sorted(needs):
            self._in_order(connection, purpose, needs[purpose], partial(self._look, connection, outlook, purpose))
        return outlook

    def ask(self, connection: Connection, needs: Needs, outlook: Outlook) -> Granted:
        """Ask for what the records hold; every field is permitted or refused with its reason, and the log has both.

        Args:
            connection: a write transaction.
            needs: of the records.
            outlook: of the same needs a moment ago; keeps uses from being taken for nothing.
        """
        granted = Granted()
        for purpose in sorted(needs):
            check = partial(self._check, connection, granted, outlook, purpose)
            self._in_order(connection, purpose, needs[purpose], check)
        return granted

    def _look(
        self,
        connection: Connection,
        outlook: dict[tuple[str, str | None], Fields],
        purpose: str,
        recipient: str | None,
        asked: Fields,
    ) -> Fields:
        said = self.platform.gate.preview_many(
            connection, asking=self.asking, purpose=purpose, subjects=list(asked), fields=_together(asked),
            recipient=recipient,
        )  # fmt: skip
        answers = {id(of): of for of in said.values()}  # people in the same situation share one
        passes = {one: frozenset(code for code, why in of.items() if why is None) for one, of in answers.items()}
        passing = {who: passes[id(of)] for who, of in said.items()}
        outlook[purpose, recipient] = passing
        return passing

    def _check(  # noqa: PLR0917 - the first four are bound; private
        self,
        connection: Connection,
        granted: Granted,
        outlook: Outlook,
        purpose: str,
        recipient: str | None,
        asked: Fields,
    ) -> Fields:
        covered: dict[SubjectId, frozenset[str]] = {}
        for some in _questions(asked, outlook.get((purpose, recipient), {})):
            verdict = self.platform.gate.check_many(
                connection, asking=self.asking, purpose=purpose, subjects=list(some), fields=_together(some),
                recipient=recipient,
            )  # fmt: skip
            covered |= granted.add(verdict, purpose=purpose, asked=some)
        return covered

    def _in_order(self, connection: Connection, purpose: str, needed: Fields, answer: _Answer) -> None:
        """Ask one recipient after the other for the fields that still lack a permit."""
        lacking = dict(needed)
        for recipient, scope in self._recipients(connection, purpose, _together(needed)):
            asked = {who: own for who, codes in lacking.items() if (own := codes & scope)}
            if asked:
                covered = answer(recipient, asked)
                lacking = {who: codes - covered.get(who, frozenset()) for who, codes in lacking.items()}

    def _recipients(
        self, connection: Connection, purpose: str, codes: frozenset[str]
    ) -> Sequence[tuple[str | None, frozenset[str]]]:
        """Return whom a grant may name, in order, with those of the fields that its contract names.

        What no contract names is asked for the first of them, so that the gate says so.
        """
        declared = self.platform.catalogue.get_purpose(purpose)
        if not declared.per_recipient or not declared.recipients:
            return [(None, codes)]
        if len(declared.recipients) == 1:
            return [(declared.recipients[0], codes)]
        contracts = {found.code: found.text.fields for found in list_recipients(connection)}
        scopes = [codes & (contracts.get(recipient) or codes) for recipient in declared.recipients]
        scopes[0] |= codes.difference(*scopes)
        return list(zip(declared.recipients, scopes, strict=True))


def passing_of(outlook: Outlook) -> dict[SubjectId, set[str]]:
    """Return the fields that would pass for one recipient or another, by subject."""
    passing: dict[SubjectId, set[str]] = {}
    for of in outlook.values():
        for subject, codes in of.items():
            passing.setdefault(subject, set()).update(codes)
    return passing


def _questions(asked: Fields, passing: Fields) -> Iterator[Fields]:
    """Cut what is asked for into questions; one, but for those who would be permitted what nobody sends of them.

    A question is about all fields of all its subjects. Whose own fields will be refused while others' would pass is
    asked about by exactly its own, so that no use of its decision is taken for a permit that stores nothing.
    """
    together: dict[SubjectId, frozenset[str]] = {}
    apart: dict[frozenset[str], dict[SubjectId, frozenset[str]]] = {}
    for who, codes in asked.items():
        would_pass = passing.get(who, frozenset())
        if would_pass and not would_pass & codes:
            apart.setdefault(codes, {})[who] = codes
        else:
            together[who] = codes
    if together:
        yield together
    yield from apart.values()


def _together(fields: Fields) -> frozenset[str]:
    return frozenset[str]().union(*fields.values())


def _says(reason: Reason) -> int:
    """Return how much a reason says, beside another recipient's."""
    return _SAYS_LITTLE.index(reason) if reason in _SAYS_LITTLE else len(_SAYS_LITTLE)
