"""What a processor may do for us at an instant: the purposes and fields of its contract, and nothing after its end.

Source: PIPL 21 and 59, 网络数据安全管理条例 article 12 (R38). The register of recipients is append-only, so that what a
processor was allowed at any time stays known.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from consent.recipients import RecipientKind
from consent.register_facts import RecipientFact, RecipientRule, judge_recipient
from consent.tables import recipient
from consent.terms import recipient_fact


@dataclass(frozen=True, slots=True)
class Mandate:
    """What one processor's contract allows at one instant.

    Attributes:
        rule: the rule that keeps it from everything; ``REGISTERED`` where it may act.
        purposes: those of its contract, and of the processors' that engage it; empty where it may not act.
        fields: the scope of those contracts; None for every field of the purposes.
    """

    code: str
    rule: RecipientRule
    purposes: frozenset[str] = frozenset()
    fields: frozenset[str] | None = frozenset()

    @property
    def stands(self) -> bool:
        """Whether the processor may do anything at all."""
        return self.rule is RecipientRule.REGISTERED

    def covers(self, purpose: str) -> bool:
        """Say whether a purpose lies within the contract."""
        return purpose in self.purposes

    def covers_field(self, purpose: str, code: str) -> bool:
        """Say whether a field may be handled for a purpose."""
        return self.covers(purpose) and (self.fields is None or code in self.fields)


def read_mandate(connection: Connection, code: str, at: datetime) -> Mandate:
    """Return what a processor may do now; everything recorded counts, whatever instant its row holds."""
    known = {row.code: recipient_fact(row) for row in connection.execute(_VERSIONS)}
    return mandate_of(known, code, at)


def mandate_of(known: Mapping[str, RecipientFact], code: str, at: datetime) -> Mandate:
    """Judge a processor by the newest version of every recipient; pure.

    One that is no processor, or is engaged by somebody who is none, is not registered as one.
    """
    named = known.get(code)
    if named is None or not _are_processors(known, code):
        return Mandate(code, RecipientRule.NOT_REGISTERED)
    judged = {purpose: judge_recipient(known, code, purpose, at) for purpose in sorted(named.purposes)}
    open_for = {purpose: scope for purpose, (rule, scope) in judged.items() if rule is RecipientRule.REGISTERED}
    if not open_for:
        return Mandate(code, next((rule for rule, _ in judged.values()), RecipientRule.PURPOSE))
    scope = next(iter(open_for.values()))  # one chain of contracts has one scope, whatever the purpose
    return Mandate(code, RecipientRule.REGISTERED, frozenset(open_for), scope)


def _are_processors(known: Mapping[str, RecipientFact], code: str) -> bool:
    asked: str | None = code
    seen: set[str] = set()
    while asked is not None and asked not in seen:
        fact = known.get(asked)
        if fact is None or fact.kind != RecipientKind.PROCESSOR:
            return False
        seen.add(asked)
        asked = fact.engaged_by
    return True


def outside(mandate: Mandate, purposes: Collection[str]) -> list[str]:
    """Return the purposes that the contract does not cover, in order."""
    return sorted(purpose for purpose in set(purposes) if not mandate.covers(purpose))


_VERSIONS: Final = select(recipient).order_by(recipient.c.code, recipient.c.version)
